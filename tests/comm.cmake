esp_mpi_test(comm comm)
esp_unit_test(comm reduction)
