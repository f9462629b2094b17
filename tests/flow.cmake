foreach(name tape tape_models)
  esp_unit_test(flow ${name})
endforeach()
target_link_libraries(unit_tape_models PRIVATE OpenMP::OpenMP_C)

foreach(name shard stream)
  esp_mpi_test(flow ${name})
  target_link_libraries(mpi_${name} PRIVATE test_small)
endforeach()

esp_mpi_test(flow gradients 1)
target_compile_definitions(mpi_gradients PRIVATE ESPALIER_TESTS="${CMAKE_CURRENT_SOURCE_DIR}")
set_tests_properties(mpi.gradients.np1 PROPERTIES LABELS golden)
