esp_mpi_test(comm comm)
esp_mpi_test(comm collectives)
esp_unit_test(comm reduction)
