# The page of analysis/report.py in a browser; skipped without Chromium, which scripts/install-dependencies installs.
add_test(NAME page.browser COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/page/run.sh)
set_tests_properties(page.browser PROPERTIES LABELS page TIMEOUT 300 SKIP_RETURN_CODE 77 DEPENDS analysis.report
  ENVIRONMENT "SOURCE=${PROJECT_SOURCE_DIR};PAGES=${CMAKE_CURRENT_BINARY_DIR}/analysis;SCRATCH=${CMAKE_CURRENT_BINARY_DIR}/page")
