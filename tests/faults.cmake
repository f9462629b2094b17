# Failing calls of the system, made by a library that is loaded before the C library's own.
add_library(fault MODULE faults/fault.c)
target_compile_options(fault PRIVATE -Wall -Wextra -Wshadow $<$<BOOL:${ESPALIER_WERROR}>:-Werror>)
target_link_libraries(fault PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(fault PROPERTIES PREFIX "")

add_test(NAME faults.sample COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/faults/run.sh)
set_tests_properties(faults.sample PROPERTIES LABELS cli TIMEOUT 300 PROCESSORS 2
  ENVIRONMENT "${TEST_ENVIRONMENT};ESPALIER=$<TARGET_FILE:espalier>;MPIEXEC=${MPIEXEC_EXECUTABLE};FAULT=$<TARGET_FILE:fault>;SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/faults")
