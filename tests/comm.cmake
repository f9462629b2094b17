esp_mpi_test(comm comm)
