esp_mpi_test(comm comm)
esp_mpi_test(comm collectives)
esp_mpi_test(comm dealt)
esp_unit_test(comm reduction)
