esp_mpi_test(eval eval)

target_link_libraries(mpi_eval PRIVATE test_small)
esp_mpi_test(eval targets)
target_compile_definitions(mpi_targets PRIVATE ESPALIER_TESTS="${CMAKE_CURRENT_SOURCE_DIR}")
set_tests_properties(mpi.targets.np1 PROPERTIES LABELS golden)
esp_unit_test(eval eval_cost)
