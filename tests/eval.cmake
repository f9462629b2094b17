esp_mpi_test(eval eval)
