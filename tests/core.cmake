foreach(name json status memory memory_limit deadline rng hash cost suggest elementary softmax named option_value options options_yaml)
  esp_unit_test(core ${name})
endforeach()
target_include_directories(unit_memory PRIVATE ${PROJECT_SOURCE_DIR}/src/core) # memory_pool.h
