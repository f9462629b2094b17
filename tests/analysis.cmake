# analysis/*.py on files of the program; skipped without h5py, NumPy and Matplotlib, which scripts/install-dependencies installs.
add_test(NAME analysis.report COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/analysis/run.sh)
set_tests_properties(analysis.report PROPERTIES
  LABELS analysis TIMEOUT 300 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED cli_shared
  ENVIRONMENT "${TEST_ENVIRONMENT};ESPALIER=$<TARGET_FILE:espalier>;MPIEXEC=${MPIEXEC_EXECUTABLE};HELPERS=${cli_folder};RANKS=2;SHARED=${cli_folder}/shared;SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/analysis")
# bench/quality on rows made by hand and a made program; needs nothing but Python.
find_package(Python3 3.9 COMPONENTS Interpreter)
if(Python3_FOUND)
  add_test(NAME analysis.quality COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/analysis/quality.py ${PROJECT_SOURCE_DIR})
  set_tests_properties(analysis.quality PROPERTIES LABELS analysis TIMEOUT 60 ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
endif()
