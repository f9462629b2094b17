#include "unit.h"

#include "espalier/io/dataset.h"

static void esp_dataset_count_shared_finds_equal_images(void **state) {
  (void)state;
  uint8_t mine[] = {1, 2, 3, 4, 1, 2}, others[] = {5, 6, 1, 2};
  const esp_dataset self = {.kind = ESP_DATA_IMAGES, .count = 3, .width = 2, .pixels = mine};
  const esp_dataset other = {.kind = ESP_DATA_IMAGES, .count = 2, .width = 2, .pixels = others};
  assert_true(esp_dataset_count_shared_local(&self, &other) == 2);
  assert_true(esp_dataset_count_shared_local(&other, &self) == 1);
}

/* Rows of other lengths may hold the same tokens. */
static void esp_dataset_count_shared_ignores_padding(void **state) {
  (void)state;
  int32_t mine[] = {7, 8, 0, 7, 9, 1}, lengths[] = {2, 3}, others[] = {7, 8, 7, 9};
  const esp_dataset self = {
      .kind = ESP_DATA_TOKENS, .count = 2, .width = 3, .tokens = mine, .lengths = lengths};
  const esp_dataset other = {.kind = ESP_DATA_TOKENS, .count = 2, .width = 2, .tokens = others};
  assert_true(esp_dataset_count_shared_local(&self, &other) == 1);
}

static void esp_dataset_count_shared_is_none_of_another_kind(void **state) {
  (void)state;
  uint8_t pixels[] = {1, 2};
  int32_t tokens[] = {1, 2};
  const esp_dataset images = {.kind = ESP_DATA_IMAGES, .count = 1, .width = 2, .pixels = pixels};
  const esp_dataset text = {.kind = ESP_DATA_TOKENS, .count = 1, .width = 2, .tokens = tokens};
  const esp_dataset made = {.kind = ESP_DATA_TOKENS, .count = 1, .width = 2, .is_made = true};
  assert_true(esp_dataset_count_shared_local(&images, &text) == 0);
  assert_true(esp_dataset_count_shared_local(&text, &made) == 0);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_dataset_count_shared_finds_equal_images),
              cmocka_unit_test(esp_dataset_count_shared_ignores_padding),
              cmocka_unit_test(esp_dataset_count_shared_is_none_of_another_kind))
