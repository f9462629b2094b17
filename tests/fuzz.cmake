# tests/fuzz/<name>.c: a harness, what it reads in the other files there. The fuzz preset (clang) links libFuzzer and searches from
# the corpus for a fixed number of runs; other builds only give it the corpus.
set(fuzz_folder ${CMAKE_CURRENT_SOURCE_DIR}/fuzz)
string(FIND "${ESPALIER_SANITIZE}" fuzzer fuzz_is_search)
add_library(test_fuzz STATIC fuzz/fuzz.c fuzz/h5.c)
target_compile_options(test_fuzz PUBLIC "SHELL:-iquote ${CMAKE_CURRENT_SOURCE_DIR}/helper")
target_compile_definitions(test_fuzz PRIVATE H5_USE_110_API)
target_link_libraries(test_fuzz PUBLIC espalier_plan espalier_series espalier_prune espalier_train espalier_eval test_small hdf5::hdf5 PRIVATE espalier_flags)
if(fuzz_is_search LESS 0)
  target_sources(test_fuzz PRIVATE fuzz/replay.c)
endif()
add_custom_target(fuzz)

# esp_fuzz_test(<name> <runs> [file...]): runs take at most about 5 s; files are of the program, not of a module.
function(esp_fuzz_test name runs)
  add_executable(fuzz_${name} fuzz/${name}.c ${ARGN})
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src/cli)
  target_link_libraries(fuzz_${name} PRIVATE test_fuzz espalier_flags)
  set(options "")
  set(through "")
  if(NOT fuzz_is_search LESS 0)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set(options -runs=${runs} -seed=1 -max_len=4096 -timeout=20 -malloc_limit_mb=256 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/fuzz.${name}.)
    if(EXISTS ${fuzz_folder}/${name}.dict)
      list(APPEND options -dict=${fuzz_folder}/${name}.dict)
    endif()
    set(through bash ${fuzz_folder}/run.sh ${CMAKE_CURRENT_BINARY_DIR}/learnt/${name})
  endif()
  add_dependencies(fuzz fuzz_${name})
  add_test(NAME fuzz.${name} COMMAND ${through} $<TARGET_FILE:fuzz_${name}> ${options} ${fuzz_folder}/corpus/${name})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120
                       ENVIRONMENT "${TEST_ENVIRONMENT};OMPI_MCA_ess_singleton_isolated=1;LSAN_OPTIONS=print_suppressions=0:suppressions=${fuzz_folder}/lsan.supp")
endfunction()

foreach(name safetensors shards config idx journal)
  esp_fuzz_test(${name} 5000)
endforeach()
foreach(name tokenizer text)
  esp_fuzz_test(${name} 3000)
endforeach()
foreach(name yaml arguments)
  esp_fuzz_test(${name} 3000 ${PROJECT_SOURCE_DIR}/src/cli/all_settings.c)
endforeach()
foreach(name fields tokens statistics pruned) # each opens a file of HDF5, or runs a model
  esp_fuzz_test(${name} 300)
endforeach()
esp_fuzz_test(pruning 100 ${PROJECT_SOURCE_DIR}/src/cli/all_settings.c) # each prunes a model
