#include "unit.h"

#include <math.h>
#include <string.h>

/* kat_vectors of the Random123 distribution, philox4x32 with 10 rounds: the first two words. The
 * key is the seed, the counter's upper half the stream, each with its low word first. */
static void esp_rng_u64_gives_the_known_answers(void **state) {
  (void)state;
  assert_true(esp_rng_u64(0, 0, 0) == UINT64_C(0xe169c58d6627e8d5));
  assert_true(esp_rng_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_C(0x41c83b0e408f276d));
  assert_true(esp_rng_u64(UINT64_C(0x299f31d0a4093822), UINT64_C(0x0370734413198a2e),
                          UINT64_C(0x85a308d3243f6a88)) == UINT64_C(0x94fdccebd16cfe09));
}

static void esp_rng_u64_depends_on_each_word(void **state) {
  (void)state;
  const uint64_t high = UINT64_C(1) << 32;
  const uint64_t base = esp_rng_u64(1, 2, 3);
  assert_true(base == esp_rng_u64(1, 2, 3));
  assert_true(base != esp_rng_u64(1 + high, 2, 3));
  assert_true(base != esp_rng_u64(1, 2 + high, 3));
  assert_true(base != esp_rng_u64(1, 2, 3 + high));
  assert_true(base != esp_rng_u64(2, 1, 3));
}

/* Mean 1/2 +- 5 sigma, sigma = 1 / sqrt(12 n). */
static void esp_rng_uniform_fills_the_unit_interval(void **state) {
  (void)state;
  enum { N = 20000 };
  double sum = 0.0, low = 1.0, high = 0.0;
  for (uint64_t i = 0; i < N; i++) {
    const double u = esp_rng_uniform(7, 1, i);
    assert_true(u >= 0.0 && u < 1.0);
    sum += u;
    low = fmin(low, u);
    high = fmax(high, u);
  }
  assert_true(fabs(sum / N - 0.5) < 5.0 / sqrt(12.0 * N));
  assert_true(low < 0.001 && high > 0.999);
}

/* Mean 0 +- 5 / sqrt(n), mean square 1 +- 5 sqrt(2 / n). */
static void esp_rng_normal_has_mean_0_and_variance_1(void **state) {
  (void)state;
  enum { N = 20000 };
  double sum = 0.0, squares = 0.0;
  for (uint64_t i = 0; i < N; i++) {
    const double z = esp_rng_normal(7, 2, i);
    assert_true(isfinite(z));
    sum += z;
    squares += z * z;
  }
  assert_true(fabs(sum / N) < 5.0 / sqrt(N));
  assert_true(fabs(squares / N - 1.0) < 5.0 * sqrt(2.0 / N));
}

/* Each of 10 values: 2000 of 20000 +- 5 sigma, sigma = 42. */
static void esp_rng_below_is_even_and_below(void **state) {
  (void)state;
  int counts[10] = {0};
  for (uint64_t i = 0; i < 20000; i++) {
    const uint64_t value = esp_rng_below(7, 3, i, 10);
    assert_true(value < 10);
    counts[value]++;
  }
  for (int i = 0; i < 10; i++) assert_in_range(counts[i], 2000 - 212, 2000 + 212);
}

static void esp_rng_below_each_equals_single_values(void **state) {
  (void)state;
  uint8_t values[77];
  const uint64_t first = UINT64_MAX - 30; // and over the end
  for (int bound = 1; bound <= 256; bound += 51) {
    esp_rng_below_each(7, 1 + UINT64_C(0x500000000), first, bound, 77, values);
    for (int i = 0; i < 77; i++)
      assert_int_equal(values[i], esp_rng_below(7, 1 + UINT64_C(0x500000000), first + (uint64_t)i,
                                                (uint64_t)bound));
  }
}

static void esp_rng_below_1_is_0(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 100; i++) assert_true(esp_rng_below(7, 4, i, 1) == 0);
}

static void esp_rng_permutation_holds_each_index_once(void **state) {
  (void)state;
  enum { N = 1001 };
  int64_t order[N];
  int seen[N] = {0}, fixed = 0;
  esp_rng_permutation(7, 5, N, order);
  for (int i = 0; i < N; i++) {
    assert_true(order[i] >= 0 && order[i] < N);
    seen[order[i]]++;
    fixed += order[i] == i;
  }
  for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
  assert_true(fixed < 10); // one on average
}

/* 6000 permutations of three: each of the six 1000 times +- 5 sigma, sigma = 29. */
static void esp_rng_permutation_is_even(void **state) {
  (void)state;
  int counts[27] = {0};
  for (uint64_t stream = 0; stream < 6000; stream++) {
    int64_t order[3];
    esp_rng_permutation(7, stream, 3, order);
    counts[9 * order[0] + 3 * order[1] + order[2]]++;
  }
  static const int codes[] = {5, 7, 11, 15, 19, 21};
  for (size_t i = 0; i < ESP_COUNT(codes); i++)
    assert_in_range(counts[codes[i]], 1000 - 145, 1000 + 145);
}

static void esp_rng_permutation_of_none_and_one(void **state) {
  (void)state;
  int64_t order[1] = {-1};
  esp_rng_permutation(7, 6, 0, order);
  assert_int_equal(order[0], -1);
  esp_rng_permutation(7, 6, 1, order);
  assert_int_equal(order[0], 0);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_rng_u64_gives_the_known_answers),
              cmocka_unit_test(esp_rng_u64_depends_on_each_word),
              cmocka_unit_test(esp_rng_uniform_fills_the_unit_interval),
              cmocka_unit_test(esp_rng_normal_has_mean_0_and_variance_1),
              cmocka_unit_test(esp_rng_below_is_even_and_below),
              cmocka_unit_test(esp_rng_below_each_equals_single_values),
              cmocka_unit_test(esp_rng_below_1_is_0),
              cmocka_unit_test(esp_rng_permutation_holds_each_index_once),
              cmocka_unit_test(esp_rng_permutation_is_even),
              cmocka_unit_test(esp_rng_permutation_of_none_and_one))
