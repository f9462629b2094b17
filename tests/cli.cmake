# tests/cli/<name>.sh: the real program under mpirun. cli.prepare makes what the others share.
set(cli_folder ${CMAKE_CURRENT_BINARY_DIR}/cli)
foreach(helper make_data json_get edit_tensors)
  add_executable(cli_${helper} cli/${helper}.c)
  target_link_libraries(cli_${helper} PRIVATE espalier_flags)
  set_target_properties(cli_${helper} PROPERTIES OUTPUT_NAME ${helper} RUNTIME_OUTPUT_DIRECTORY ${cli_folder})
endforeach()
target_link_libraries(cli_json_get PRIVATE PkgConfig::JANSSON)
target_link_libraries(cli_edit_tensors PRIVATE PkgConfig::JANSSON)

# esp_cli_test(<name> [ranks...]): once for each number of ranks.
function(esp_cli_test name)
  foreach(n IN LISTS ARGN)
    add_test(NAME cli.${name}.np${n} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cli/${name}.sh)
    set_tests_properties(cli.${name}.np${n} PROPERTIES
      LABELS cli TIMEOUT 300 FIXTURES_REQUIRED cli_shared
      ENVIRONMENT "${TEST_ENVIRONMENT};ESPALIER=$<TARGET_FILE:espalier>;MPIEXEC=${MPIEXEC_EXECUTABLE};HELPERS=${cli_folder};RANKS=${n};SHARED=${cli_folder}/shared;SCRATCH=${cli_folder}/${name}.np${n}")
  endforeach()
endfunction()

esp_cli_test(prepare 2)
set_tests_properties(cli.prepare.np2 PROPERTIES FIXTURES_REQUIRED "" FIXTURES_SETUP cli_shared)

foreach(name bad_options bad_files bad_numbers bad_outputs prune results)
  esp_cli_test(${name} 3)
endforeach()
foreach(name bad_pairs resume) # one rank fails, and goes on, as three do
  esp_cli_test(${name} 1 3)
endforeach()
foreach(name limits file_systems)
  esp_cli_test(${name} 3)
endforeach()
esp_cli_test(same_files 3)
esp_cli_test(gate 2)
esp_cli_test(sweep 2) # it runs 3 ranks for the models itself
esp_cli_test(alone 3)
esp_cli_test(paths 2)
esp_cli_test(messages 2)
esp_cli_test(effects 2)
esp_cli_test(budget 2) # it runs 3 ranks for the selection itself
esp_cli_test(plan 1 2 3)
esp_cli_test(plan_training 1 2 3)
esp_cli_test(plan_described 2)
esp_cli_test(idle_ranks 3 7)
esp_cli_test(checkpoints 3)
esp_cli_test(two_copies 1 3)
esp_cli_test(nothing 3)
esp_cli_test(numbers 3)
esp_cli_test(opens 2)
esp_cli_test(tensors 2)
esp_cli_test(configurations 2)
esp_cli_test(export 3) # it compares with one rank itself
esp_cli_test(width 2) # it runs 1 to 3 ranks for the selection itself
esp_cli_test(max_entropy 2) # it runs 1 to 3 ranks for the selection itself
esp_cli_test(text 2) # and 1 and 3 for the tokens
esp_cli_test(unstructured 2) # it runs 1 to 3 ranks for the masks itself
esp_cli_test(layers 2) # it runs 1 to 4 ranks for the selection itself
esp_cli_test(metric 2) # it runs 1 to 3 ranks for the selection itself
esp_cli_test(stability 2) # it runs 1 and 3 ranks for the figures itself
esp_cli_test(unmeasured 2) # it runs 1 and 3 ranks for the files itself
esp_cli_test(chain 2)
esp_cli_test(allocation 2) # it runs 1 to 4 ranks for the selection itself
esp_cli_test(criteria 2) # it runs 1 to 3 ranks for the selection itself
esp_cli_test(journals 2) # it goes on with other numbers of ranks itself
esp_cli_test(kills 2)
esp_cli_test(train 2)
esp_cli_test(train_masks 1) # ranks: mpi.train_dynamic_runs
esp_cli_test(train_kills 2)
esp_cli_test(combinations 2) # it runs 1 and 2 ranks, two rows at a time
set_tests_properties(cli.journals.np2 cli.kills.np2 cli.combinations.np2 PROPERTIES TIMEOUT 600)
set_tests_properties(cli.combinations.np2 PROPERTIES PROCESSORS 2)
esp_cli_test(same_bits 1) # it runs all the numbers of ranks itself
