foreach(name stats halves)
  esp_mpi_test(stats ${name})
  target_link_libraries(mpi_${name} PRIVATE espalier_collect espalier_sweep test_small hdf5::hdf5)
endforeach()
