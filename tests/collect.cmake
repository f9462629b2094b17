foreach(name collect fisher)
  esp_mpi_test(collect ${name})
  target_link_libraries(mpi_${name} PRIVATE test_small)
endforeach()
