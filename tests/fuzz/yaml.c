/* The text of a file of options, with the options of the program. */
#include "fuzz.h"

#include "all_settings.h"

#include <string.h>

void fuzz_start(void) {}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_input input = {data, size};
  esp_settings settings;
  const esp_option_table *table = esp_settings_table();
  esp_options_init(table, &settings);
  if (fuzz_is_ok(
          esp_options_read_yaml(table, &settings, fuzz_take_text(&input, size), "options.yaml")))
    json_decref(esp_options_dump(table, &settings, ESP_FOR_ALL));
  esp_options_clear(table, &settings);
  return 0;
}
