# The same bytes as recorded; skipped without AVX2 and FMA, or with other libraries than the record's.
add_test(NAME bytes COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/bytes/run.sh $<TARGET_FILE:espalier> compare)
set_tests_properties(bytes PROPERTIES LABELS cli TIMEOUT 600 SKIP_RETURN_CODE 77
  ENVIRONMENT "${TEST_ENVIRONMENT};MPIEXEC=${MPIEXEC_EXECUTABLE};HELPERS=${cli_folder};SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/bytes")
