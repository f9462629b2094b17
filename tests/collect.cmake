foreach(name shard stats halves collect fisher sweep sweep_conditional sweep_exchange)
  esp_mpi_test(collect ${name})
  target_link_libraries(mpi_${name} PRIVATE test_small)
endforeach()
