esp_mpi_test(train train)
esp_mpi_test(train train_resume)
target_link_libraries(mpi_train_resume PRIVATE hdf5::hdf5)
