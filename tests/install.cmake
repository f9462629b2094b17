# tests/install/<name>.sh: what cmake --install makes. install.tree installs it for the others.
set(install_folder ${CMAKE_CURRENT_BINARY_DIR}/install)

# esp_install_test(<name>): in a folder of its own, with the installed tree in TREE.
function(esp_install_test name)
  add_test(NAME install.${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/install/${name}.sh)
  set_tests_properties(install.${name} PROPERTIES LABELS cli TIMEOUT 300 FIXTURES_REQUIRED install_tree
    ENVIRONMENT "${TEST_ENVIRONMENT};BUILD=${PROJECT_BINARY_DIR};SOURCE=${PROJECT_SOURCE_DIR};MPICC=${MPI_C_COMPILER};MPIEXEC=${MPIEXEC_EXECUTABLE};TREE=${install_folder}/installed;SCRATCH=${install_folder}/${name}")
endfunction()

esp_install_test(tree)
set_tests_properties(install.tree PROPERTIES FIXTURES_REQUIRED "" FIXTURES_SETUP install_tree)
foreach(name program places headers linkage example readme packaging)
  esp_install_test(${name})
endforeach()
