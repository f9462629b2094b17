foreach(name shard stats collect sweep)
  esp_mpi_test(collect ${name})
  target_link_libraries(mpi_${name} PRIVATE test_small)
endforeach()
