esp_unit_test(text tokenizer)

# The ids of the reference library for difficult strings: tests/golden/text has the scripts that made them.
add_executable(golden_text golden/text/compare.c)
target_link_libraries(golden_text PRIVATE espalier_text espalier_io ZLIB::ZLIB espalier_flags)
set(golden_text ${CMAKE_CURRENT_SOURCE_DIR}/golden/text)
function(esp_golden_text name tokenizer)
  add_test(NAME golden.text.${name}
           COMMAND golden_text ${tokenizer} ${golden_text}/strings.bin.gz ${golden_text}/expected/${name}.bin)
  set_tests_properties(golden.text.${name} PROPERTIES LABELS golden TIMEOUT 60 ENVIRONMENT "${TEST_ENVIRONMENT}")
endfunction()
foreach(name gpt2 llama3 qwen2 llama2 mistral affixes wordpiece cased unigram unigram_bytes)
  esp_golden_text(${name} ${golden_text}/tokenizers/${name}.json)
endforeach()
foreach(name bert llama)
  esp_golden_text(models_${name} ${CMAKE_CURRENT_SOURCE_DIR}/models/${name}/tokenizer.json)
endforeach()
