foreach(name status memory memory_limit deadline rng hash cost suggest named option_value options options_yaml)
  esp_unit_test(core ${name})
endforeach()
