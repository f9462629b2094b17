esp_mpi_test(train train)
esp_mpi_test(train train_resume)
