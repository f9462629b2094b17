#include "unit.h"

#include "espalier/comm/cost.h"

static void esp_reduction_bytes_are_none_alone(void **state) {
  (void)state;
  assert_true(esp_reduction_bytes(1, 1000.0, 8.0) == 0.0);
}

static void esp_reduction_bytes_are_those_of_a_buffer(void **state) {
  (void)state;
  assert_true(esp_reduction_bytes(2, 1000.0, 8.0) == 8000.0);
  assert_true(esp_reduction_bytes(64, 1000.0, 4.0) == 4000.0);
}

static void esp_reduction_bytes_end_with_a_chunk(void **state) {
  (void)state;
  const double most = esp_reduction_bytes(2, 0x1p40, 8.0);
  assert_true(most < 0x1p30);
  assert_true(esp_reduction_bytes(2, 0x1p41, 8.0) == most);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_reduction_bytes_are_none_alone),
              cmocka_unit_test(esp_reduction_bytes_are_those_of_a_buffer),
              cmocka_unit_test(esp_reduction_bytes_end_with_a_chunk))
