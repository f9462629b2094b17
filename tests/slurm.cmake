# slurm/*.sbatch on a one-node cluster; skipped without root or Slurm's packages.
add_test(NAME slurm.sweep COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/slurm/run.sh)
set_tests_properties(slurm.sweep PROPERTIES
  LABELS slurm TIMEOUT 400 RUN_SERIAL ON SKIP_RETURN_CODE 77
  ENVIRONMENT "${TEST_ENVIRONMENT};ESPALIER=$<TARGET_FILE:espalier>;HELPERS=${cli_folder};SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/slurm")
