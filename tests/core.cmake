foreach(name json status memory rng hash suggest named option_value options options_yaml)
  esp_unit_test(core ${name})
endforeach()
