#include "unit.h"

#include "espalier/io/dtype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float read_one(esp_dtype type, uint16_t word) {
  float value;
  esp_dtype_to_f32(type, &word, 1, &value);
  return value;
}

static uint16_t write_one(esp_dtype type, float value) {
  uint16_t word;
  esp_dtype_from_f32(type, &value, 1, &word);
  return word;
}

static void esp_dtype_bytes_are_those_of_the_name(void **state) {
  (void)state;
  static const size_t bytes[ESP_DTYPE_COUNT] = {4, 2, 2, 8, 4, 8, 8, 1};
  for (int i = 0; i < ESP_DTYPE_COUNT; i++) {
    int bits;
    const char *name = esp_dtype_name((esp_dtype)i);
    assert_int_equal(sscanf(name + strcspn(name, "0123456789"), "%d", &bits), 1);
    assert_int_equal(esp_dtype_bytes((esp_dtype)i), bytes[i]);
    assert_int_equal(bytes[i] * 8, bits);
  }
}

static void esp_dtype_to_f32_reads_f16_by_its_formula(void **state) {
  (void)state;
  for (int word = 0; word < 0x10000; word++) {
    const int exponent = word >> 10 & 31, mantissa = word & 1023;
    if (exponent == 31) continue;
    const double size = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    const float value = read_one(ESP_F16, (uint16_t)word);
    assert_true((double)value == (word & 0x8000 ? -size : size));
    assert_int_equal(signbit(value) != 0, word >> 15);
  }
}

static void esp_dtype_to_f32_reads_f16_infinities_and_nans(void **state) {
  (void)state;
  assert_true(read_one(ESP_F16, 0x7C00) == INFINITY);
  assert_true(read_one(ESP_F16, 0xFC00) == -INFINITY);
  for (int word = 0x7C01; word < 0x8000; word++)
    assert_true(isnan(read_one(ESP_F16, (uint16_t)word)));
}

static void esp_dtype_from_f32_gives_f16_and_bf16_back(void **state) {
  (void)state;
  for (int word = 0; word < 0x10000; word++) {
    const float half = read_one(ESP_F16, (uint16_t)word),
                brain = read_one(ESP_BF16, (uint16_t)word);
    if (!isnan(half)) assert_int_equal(write_one(ESP_F16, half), word);
    if (!isnan(brain)) assert_int_equal(write_one(ESP_BF16, brain), word);
    assert_int_equal(isnan(half), isnan(read_one(ESP_F16, write_one(ESP_F16, half))));
    assert_int_equal(isnan(brain), isnan(read_one(ESP_BF16, write_one(ESP_BF16, brain))));
  }
}

/* Between neighbours a < b of a 16-bit type: the middle goes to the even one, and what is next to
 * the middle to the nearer one. Middles are floats, because floats have 13 or 16 bits more. */
static void check_rounding(esp_dtype type, int last) {
  for (int word = 0; word < last; word++) {
    const float low = read_one(type, (uint16_t)word), high = read_one(type, (uint16_t)(word + 1));
    const float middle = (float)(((double)low + (double)high) / 2);
    assert_int_equal(write_one(type, middle), word + (word & 1));
    assert_int_equal(write_one(type, nextafterf(middle, 0)), word);
    assert_int_equal(write_one(type, nextafterf(middle, INFINITY)), word + 1);
    assert_int_equal(write_one(type, -middle), 0x8000 | (word + (word & 1)));
  }
}

static void esp_dtype_from_f32_rounds_f16_to_nearest_even(void **state) {
  (void)state;
  check_rounding(ESP_F16, 0x7BFF);
}

static void esp_dtype_from_f32_rounds_bf16_to_nearest_even(void **state) {
  (void)state;
  check_rounding(ESP_BF16, 0x7F7F);
}

static void esp_dtype_from_f32_overflows_to_infinity(void **state) {
  (void)state;
  assert_int_equal(write_one(ESP_F16, 65519.996f), 0x7BFF);
  assert_int_equal(write_one(ESP_F16, 65520.0f), 0x7C00);
  assert_int_equal(write_one(ESP_F16, -1e30f), 0xFC00);
  assert_int_equal(write_one(ESP_BF16, from_bits(0x7F7FFFFF)), 0x7F80);
}

static void esp_dtype_from_f32_keeps_nan_whose_payload_is_cut_off(void **state) {
  (void)state;
  assert_true(isnan(read_one(ESP_F16, write_one(ESP_F16, from_bits(0x7F800001)))));
  assert_true(isnan(read_one(ESP_BF16, write_one(ESP_BF16, from_bits(0xFF800001)))));
}

static void esp_dtype_to_f32_reads_any_alignment(void **state) {
  (void)state;
  static const esp_dtype types[] = {ESP_F32, ESP_F16, ESP_BF16, ESP_F64};
  const float values[5] = {1.0f, -2.5f, 0.0f, 96.0f, -0.125f};
  for (size_t t = 0; t < ESP_COUNT(types); t++) {
    unsigned char bytes[48];
    float back[5];
    esp_dtype_from_f32(types[t], values, 5, bytes + 1);
    esp_dtype_to_f32(types[t], bytes + 1, 5, back);
    assert_memory_equal(back, values, sizeof values);
  }
}

static void esp_dtype_to_f32_does_nothing_for_no_elements(void **state) {
  (void)state;
  float value = 3;
  esp_dtype_to_f32(ESP_F32, NULL, 0, &value);
  esp_dtype_from_f32(ESP_F32, NULL, 0, &value);
  assert_true(value == 3);
}

static jmp_buf after_panic;
static void leave_panic(int code) {
  longjmp(after_panic, code);
}

static void esp_dtype_to_f32_panics_on_integers(void **state) {
  (void)state;
  float value = 0;
  const int32_t word = 1;
  esp_set_panic_hook(leave_panic);
  const int code = setjmp(after_panic);
  if (code == 0) esp_dtype_to_f32(ESP_I32, &word, 1, &value);
  esp_set_panic_hook(NULL);
  assert_int_equal(code, 70);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_dtype_bytes_are_those_of_the_name),
              cmocka_unit_test(esp_dtype_to_f32_reads_f16_by_its_formula),
              cmocka_unit_test(esp_dtype_to_f32_reads_f16_infinities_and_nans),
              cmocka_unit_test(esp_dtype_from_f32_gives_f16_and_bf16_back),
              cmocka_unit_test(esp_dtype_from_f32_rounds_f16_to_nearest_even),
              cmocka_unit_test(esp_dtype_from_f32_rounds_bf16_to_nearest_even),
              cmocka_unit_test(esp_dtype_from_f32_overflows_to_infinity),
              cmocka_unit_test(esp_dtype_from_f32_keeps_nan_whose_payload_is_cut_off),
              cmocka_unit_test(esp_dtype_to_f32_reads_any_alignment),
              cmocka_unit_test(esp_dtype_to_f32_does_nothing_for_no_elements),
              cmocka_unit_test(esp_dtype_to_f32_panics_on_integers))
