esp_mpi_test(flow shard)
target_link_libraries(mpi_shard PRIVATE test_small)
esp_unit_test(flow shape)
