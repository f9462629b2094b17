# What README.md and docs/ show is what the program prints, and their text keeps to CONVENTIONS of prose.
set(docs_folder ${CMAKE_CURRENT_SOURCE_DIR}/docs)
add_test(NAME docs.commands COMMAND bash ${docs_folder}/run.sh)
set_tests_properties(docs.commands PROPERTIES LABELS cli TIMEOUT 600 PROCESSORS 2
  ENVIRONMENT "${TEST_ENVIRONMENT};ESPALIER=$<TARGET_FILE:espalier>;MPIEXEC=${MPIEXEC_EXECUTABLE};SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/docs")
add_test(NAME docs.style COMMAND bash ${docs_folder}/style.sh)
set_tests_properties(docs.style PROPERTIES LABELS cli TIMEOUT 60)
