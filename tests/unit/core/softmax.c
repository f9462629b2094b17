#include "espalier/core/softmax.h"

#include "unit.h"

#include <math.h>

enum { CLASSES = 1003 };

static void fill(float *values) {
  for (int64_t i = 0; i < CLASSES; i++) values[i] = 5.0F * (float)esp_rng_normal(3, 1, (uint64_t)i);
}

static void find_top_is_the_largest_wherever_it_stands(void **state) {
  (void)state;
  float values[CLASSES];
  const int64_t places[] = {0, 1, 15, 16, 500, 999, 1000, CLASSES - 1};
  for (size_t i = 0; i < ESP_COUNT(places); i++) {
    fill(values);
    values[places[i]] = 100.0F;
    assert_true(esp_softmax_find_top(values, CLASSES) == 100.0F);
  }
  assert_true(esp_softmax_find_top(values, 1) == values[0]);
}

static void find_top_passes_over_what_is_no_number(void **state) {
  (void)state;
  float values[CLASSES];
  fill(values);
  values[7] = NAN;
  values[9] = 100.0F;
  assert_true(esp_softmax_find_top(values, CLASSES) == 100.0F);
}

static void exponentiate_equals_exp_and_sums_it(void **state) {
  (void)state;
  float values[CLASSES], e[CLASSES];
  fill(values);
  const float top = esp_softmax_find_top(values, CLASSES);
  const double sum = esp_softmax_exponentiate(values, CLASSES, top, 0.5F, e);
  double expected = 0;
  for (int64_t i = 0; i < CLASSES; i++) {
    const double exact = exp(((double)values[i] - (double)top) * 0.5);
    assert_true(fabs((double)e[i] - exact) < 1e-6 * exact);
    expected += exact;
  }
  assert_true(fabs(sum - expected) < 1e-6 * expected);
}

static void exponentiate_works_in_place(void **state) {
  (void)state;
  float values[CLASSES], e[CLASSES];
  fill(values);
  const double sum = esp_softmax_exponentiate(values, CLASSES, 20.0F, 1.0F, e);
  const double again = esp_softmax_exponentiate(values, CLASSES, 20.0F, 1.0F, values);
  assert_true(sum == again);
  for (int64_t i = 0; i < CLASSES; i++) assert_true(values[i] == e[i]);
}

ESP_TEST_MAIN(cmocka_unit_test(find_top_is_the_largest_wherever_it_stands),
              cmocka_unit_test(find_top_passes_over_what_is_no_number),
              cmocka_unit_test(exponentiate_equals_exp_and_sums_it),
              cmocka_unit_test(exponentiate_works_in_place))
