esp_unit_test(io dtype)
esp_unit_test(io box)
esp_unit_test(io mapping)
esp_unit_test(io safetensors)
esp_unit_test(io io_cost)
esp_unit_test(io shared_samples)
foreach(name box safetensors)
  target_include_directories(unit_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src/io ${PROJECT_SOURCE_DIR}/src/io/tensors)
endforeach()

foreach(name file journal h5 h5_layout h5_failure tensors dataset token_file token_numbers maximum_entropy)
  esp_mpi_test(io ${name})
  target_include_directories(mpi_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src/io)
  target_compile_definitions(mpi_${name} PRIVATE H5_USE_110_API)
  target_link_libraries(mpi_${name} PRIVATE hdf5::hdf5 ZLIB::ZLIB)
endforeach()

foreach(name safetensors huggingface folder companions outputs text_data)
  esp_mpi_test(io ${name})
endforeach()

# Open MPI has two implementations of MPI-IO; the tests above run on its default one.
foreach(name h5 h5_layout h5_failure tensors)
  foreach(n 1 2 3 4)
    add_test(NAME mpi.${name}.romio.np${n} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${n}
             $<TARGET_FILE:mpi_${name}>)
    set_tests_properties(mpi.${name}.romio.np${n} PROPERTIES LABELS mpi TIMEOUT 120
                         ENVIRONMENT "${TEST_ENVIRONMENT};OMPI_MCA_io=romio321")
  endforeach()
endforeach()
