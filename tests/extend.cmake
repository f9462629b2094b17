# A repair and a criterion more, in a build of its own.
add_test(NAME extend COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/extend/run.sh)
set_tests_properties(extend PROPERTIES LABELS cli TIMEOUT 600 PROCESSORS 2 FIXTURES_REQUIRED cli_shared
  ENVIRONMENT "${TEST_ENVIRONMENT};SOURCE=${PROJECT_SOURCE_DIR};MPIEXEC=${MPIEXEC_EXECUTABLE};HELPERS=${cli_folder};RANKS=2;SHARED=${cli_folder}/shared;SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/extend")
