#include "unit.h"

#include "espalier/core/hash.h"

#include <string.h>

/* XXH3_64bits of no bytes with seed 0: xxHash specification, and `xxhsum -H3 /dev/null`. */
static void esp_hash_of_nothing_is_the_published_one(void **state) {
  (void)state;
  assert_true(esp_hash(0, "", 0) == UINT64_C(0x2d06800538d394c2));
}

static void esp_hash_sees_every_byte(void **state) {
  (void)state;
  unsigned char bytes[300] = {0};
  const uint64_t zeros = esp_hash(0, bytes, sizeof bytes);
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = 1;
    assert_true(esp_hash(0, bytes, sizeof bytes) != zeros);
    bytes[i] = 0;
  }
  assert_true(esp_hash(0, bytes, sizeof bytes) == zeros);
}

static void esp_hash_sees_the_length(void **state) {
  (void)state;
  const char bytes[2] = {0};
  assert_true(esp_hash(0, bytes, 1) != esp_hash(0, bytes, 2));
}

static void esp_hash_chain_depends_on_the_order(void **state) {
  (void)state;
  const uint64_t ab = esp_hash(esp_hash(0, "a", 1), "b", 1);
  const uint64_t ba = esp_hash(esp_hash(0, "b", 1), "a", 1);
  assert_true(ab != ba);
  assert_true(ab != esp_hash(0, "b", 1));
}

/* Otherwise an empty array could be left out unseen. */
static void esp_hash_chain_sees_empty_pieces(void **state) {
  (void)state;
  const uint64_t a = esp_hash(0, "a", 1);
  assert_true(esp_hash(a, "", 0) != a);
}

static void esp_hash_text_is_the_hash_of_its_bytes(void **state) {
  (void)state;
  assert_true(esp_hash_text(5, "espalier") == esp_hash(5, "espalier", 8));
}

ESP_TEST_MAIN(cmocka_unit_test(esp_hash_of_nothing_is_the_published_one),
              cmocka_unit_test(esp_hash_sees_every_byte),
              cmocka_unit_test(esp_hash_sees_the_length),
              cmocka_unit_test(esp_hash_chain_depends_on_the_order),
              cmocka_unit_test(esp_hash_chain_sees_empty_pieces),
              cmocka_unit_test(esp_hash_text_is_the_hash_of_its_bytes))
