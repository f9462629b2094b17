esp_mpi_test(train train)
esp_mpi_test(train train_resume)
esp_unit_test(train train_cost)
