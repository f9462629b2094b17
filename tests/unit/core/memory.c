#include "unit.h"

#include "memory_pool.h"

#include <string.h>

static void esp_alloc_aligns_to_64_bytes(void **state) {
  (void)state;
  for (int64_t count = 0; count < 200; count++) {
    char *memory = esp_alloc(count, 3);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    esp_free(&memory);
  }
}

/* The block is dirtied and freed first, so that the allocator hands the same one out again. */
static void esp_alloc_zeroes_reused_memory(void **state) {
  (void)state;
  enum { BYTES = 1000 };
  unsigned char *dirty = esp_alloc(BYTES, 1);
  memset(dirty, 0xff, BYTES);
  esp_free(&dirty);
  unsigned char *memory = esp_alloc(BYTES, 1);
  for (int i = 0; i < BYTES; i++) assert_int_equal(memory[i], 0);
  esp_free(&memory);
}

static void esp_new_gives_count_writable_elements(void **state) {
  (void)state;
  double *values = ESP_NEW(double, 17);
  for (int i = 0; i < 17; i++) assert_true(values[i] == 0.0);
  values[16] = 1.0;
  assert_true(values[16] == 1.0);
  esp_free(&values);
}

static void esp_free_sets_null_and_accepts_null(void **state) {
  (void)state;
  int *memory = ESP_NEW(int, 4);
  esp_free(&memory);
  assert_null(memory);
  esp_free(&memory);
  assert_null(memory);
}

static void esp_strdup_copies(void **state) {
  (void)state;
  const char original[] = "two words";
  char *copy = esp_strdup(original), *empty = esp_strdup("");
  assert_string_equal(copy, original);
  assert_ptr_not_equal(copy, original);
  assert_string_equal(empty, "");
  esp_free(&copy);
  esp_free(&empty);
}

static void esp_format_prints_texts_of_any_length(void **state) {
  (void)state;
  char *text = esp_format("%s-%03d", "layer", 7), *wide = esp_format("%5000d", 1);
  assert_string_equal(text, "layer-007");
  assert_int_equal(strlen(wide), 5000);
  assert_int_equal(wide[4999], '1');
  esp_free(&text);
  esp_free(&wide);
}

static void esp_peak_rss_bytes_covers_what_was_touched(void **state) {
  (void)state;
  const int64_t bytes = 64 << 20;
  char *memory = esp_alloc(bytes, 1);
  const int64_t peak = esp_peak_rss_bytes(), anonymous = esp_peak_anonymous_bytes();
  esp_free(&memory);
  if (peak == 0) skip();
  assert_true(peak >= bytes);
  assert_true(anonymous >= bytes);
  assert_true(esp_peak_anonymous_bytes() >= anonymous);
}

static void esp_alloc_samples_the_anonymous_peak(void **state) {
  (void)state;
  const int64_t bytes = 160 << 20;
  if (esp_peak_anonymous_bytes() == 0) skip();
  assert_true(esp_peak_anonymous_bytes() < bytes);
  char *memory = esp_alloc(bytes, 1);
  esp_free(&memory);
  assert_true(esp_peak_anonymous_bytes() >= bytes);
}

enum { MIB = 1 << 20 };

static char *take_zeroed(int64_t bytes) {
  char *memory = esp_alloc(bytes, 1);
  for (int64_t i = 0; i < bytes; i++) assert_int_equal(memory[i], 0);
  memset(memory, 0xff, (size_t)bytes);
  return memory;
}

/* Cut, made longer, and as it is. */
static void big_blocks_are_reused_and_zeroed(void **state) {
  (void)state;
  if (!esp_pool_exists()) skip();
  esp_release_unused();
  char *most = take_zeroed(12 * MIB);
  esp_free(&most);
  assert_true(esp_pool_count_waiting() >= 12 * MIB);
  char *cut = take_zeroed(3 * MIB), *rest = take_zeroed(4 * MIB);
  const size_t left = esp_pool_count_waiting();
  assert_true(left >= 4 * MIB && left < 6 * MIB);
  char *longer = take_zeroed(6 * MIB);
  assert_int_equal(esp_pool_count_waiting(), 0);
  esp_free(&cut);
  esp_free(&rest);
  esp_free(&longer);
  esp_release_unused();
  assert_int_equal(esp_pool_count_waiting(), 0);
}

/* 8 of 12 MiB wait, and 10 are too many beside them. */
static void waiting_blocks_raise_no_peak(void **state) {
  (void)state;
  if (!esp_pool_exists()) skip();
  esp_release_unused();
  char *first = take_zeroed(8 * MIB), *second = take_zeroed(4 * MIB);
  esp_free(&first);
  char *small = take_zeroed(2 * MIB);
  assert_true(esp_pool_count_waiting() <= 6 * MIB);
  char *large = take_zeroed(10 * MIB);
  assert_int_equal(esp_pool_count_waiting(), 0);
  esp_free(&second);
  esp_free(&small);
  esp_free(&large);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_alloc_aligns_to_64_bytes),
              cmocka_unit_test(esp_alloc_zeroes_reused_memory),
              cmocka_unit_test(esp_new_gives_count_writable_elements),
              cmocka_unit_test(esp_free_sets_null_and_accepts_null),
              cmocka_unit_test(esp_strdup_copies),
              cmocka_unit_test(esp_format_prints_texts_of_any_length),
              cmocka_unit_test(esp_peak_rss_bytes_covers_what_was_touched),
              cmocka_unit_test(esp_alloc_samples_the_anonymous_peak),
              cmocka_unit_test(big_blocks_are_reused_and_zeroed),
              cmocka_unit_test(waiting_blocks_raise_no_peak))
