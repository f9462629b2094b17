# What headers and sources must keep to, read off their text.
foreach(name collective handle)
  add_test(NAME conventions.${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/conventions/${name}.sh)
  set_tests_properties(conventions.${name} PROPERTIES LABELS cli TIMEOUT 60
    ENVIRONMENT "SOURCE=${PROJECT_SOURCE_DIR};SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/conventions.${name}")
endforeach()
