#include "unit.h"

#include "espalier/io/cost.h"

static void esp_dataset_bytes_of_images(void **state) {
  (void)state;
  uint8_t pixels[3 * 5];
  int32_t labels[3];
  esp_dataset data = {.count = 3, .width = 5, .pixels = pixels};
  assert_true(esp_dataset_bytes(&data) == 15.0);
  data.labels = labels;
  assert_true(esp_dataset_bytes(&data) == 27.0);
}

static void esp_dataset_bytes_of_tokens(void **state) {
  (void)state;
  int32_t tokens[3 * 5], types[3 * 5], lengths[3];
  const esp_dataset data = {
      .count = 3, .width = 5, .tokens = tokens, .types = types, .lengths = lengths};
  assert_true(esp_dataset_bytes(&data) == 60.0 + 60.0 + 12.0);
}

static void esp_dataset_bytes_of_what_is_made(void **state) {
  (void)state;
  const esp_dataset data = {.count = 1000, .width = 128, .is_made = true};
  assert_true(esp_dataset_bytes(&data) == 0.0);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_dataset_bytes_of_images),
              cmocka_unit_test(esp_dataset_bytes_of_tokens),
              cmocka_unit_test(esp_dataset_bytes_of_what_is_made))
