foreach(name status memory memory_limit deadline rng hash suggest named option_value options options_yaml)
  esp_unit_test(core ${name})
endforeach()
