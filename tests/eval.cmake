esp_mpi_test(eval eval)

target_link_libraries(mpi_eval PRIVATE test_small)
esp_unit_test(eval eval_cost)
