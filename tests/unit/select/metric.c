#include "espalier/select/metric.h"

#include "espalier/core/rng.h"
#include "unit.h"

#include <math.h>
#include <string.h>

static void esp_metric_apply_gives_an_example_by_hand(void **state) {
  (void)state;
  const double ridge = 0.9 / 1.1; // a tenth of the mean of 8 - ridge and 10 - ridge
  double metric[4] = {8.0 - ridge, 4.0, 4.0, 10.0 - ridge}; // and ridge: 2 R^T R, R = [2 1; 0 2]
  float map[4] = {1.0f, 0.0f, 3.0f, 1.0f};
  assert_int_equal(esp_metric_apply("ffn.0", 2, metric, 2, map), ESP_OK);
  const float expected[4] = {5.0f, 1.0f, 6.0f, 2.0f};
  for (int i = 0; i < 4; i++) assert_float_equal(map[i], expected[i], 1e-5f);
}

static void esp_metric_apply_gives_the_quadratic_form(void **state) {
  (void)state;
  enum { P = 5, F = 7 };
  double factor[P * P], metric[P * P] = {0}, kept[P * P];
  float map[P * F], before[P * F];
  for (int i = 0; i < P * P; i++) factor[i] = esp_rng_normal(1, 0, (uint64_t)i);
  for (int i = 0; i < P * F; i++) before[i] = map[i] = (float)esp_rng_normal(1, 1, (uint64_t)i);
  for (int i = 0; i < P * P; i++)
    for (int k = 0; k < P; k++) metric[i] += factor[i / P * P + k] * factor[i % P * P + k];
  memcpy(kept, metric, sizeof kept);
  for (int i = 0; i < P * P; i++) kept[i / P * (P + 1)] += 0.1 * metric[i % P * (P + 1)] / P;
  assert_int_equal(esp_metric_apply("ffn.0", P, metric, F, map), ESP_OK);
  for (int f = 0; f < F; f++) {
    double expected = 0.0, found = 0.0;
    for (int i = 0; i < P * P; i++)
      expected += 0.5 * kept[i] * (double)before[i / P * F + f] * (double)before[i % P * F + f];
    for (int i = 0; i < P; i++) found += (double)map[i * F + f] * (double)map[i * F + f];
    assert_true(fabs(found - expected) < 1e-4 * (1.0 + expected));
  }
}

static void esp_metric_apply_takes_a_singular_metric(void **state) {
  (void)state;
  double metric[4] = {1.0, -1.0, -1.0, 1.0}; // as of two logits
  float map[2] = {3.0f, 3.0f};               // both rise: the softmax stays
  assert_int_equal(esp_metric_apply("hidden.1", 2, metric, 1, map), ESP_OK);
  assert_float_equal(map[0] * map[0] + map[1] * map[1], 0.5f * 0.1f * 18.0f, 1e-5f);
}

static void esp_metric_apply_refuses_what_is_no_metric(void **state) {
  (void)state;
  double zero[1] = {0.0}, negative[4] = {1.0, 2.0, 2.0, 1.0}, broken[1] = {NAN};
  float map[2] = {1.0f, 1.0f};
  assert_failure(esp_metric_apply("ffn.3", 1, zero, 1, map), ESP_NUMERIC, "'ffn.3'");
  assert_failure(esp_metric_apply("ffn.3", 2, negative, 1, map), ESP_NUMERIC, "'ffn.3'");
  assert_failure(esp_metric_apply("ffn.3", 1, broken, 1, map), ESP_NUMERIC, "'ffn.3'");
}

/* y = x_1 + 2 x_2: 2 + 4 + 12 of variance, and 9 of its mean. */
static void esp_metric_price_whole_gives_an_example_by_hand(void **state) {
  (void)state;
  const float map[] = {1, 2};
  const double covariance[] = {2, 1, 1, 3}, mean[] = {1, 1};
  const esp_evidence evidence = {
      .units = 2, .width = 1, .outputs = 1, .map = map, .covariance = covariance};
  assert_true(fabs(esp_metric_price_whole(&evidence, NULL) - 18) < 1e-9);
  assert_true(fabs(esp_metric_price_whole(&evidence, mean) - 27) < 1e-9);
}

/* More outputs than a panel holds: each gives the same. */
static void esp_metric_price_whole_adds_outputs(void **state) {
  (void)state;
  float map[600];
  const double covariance[] = {2, 1, 1, 3};
  for (int i = 0; i < 600; i++) map[i] = (float)(1 + i % 2);
  const esp_evidence evidence = {
      .units = 1, .width = 2, .outputs = 300, .map = map, .covariance = covariance};
  assert_true(fabs(esp_metric_price_whole(&evidence, NULL) - 300 * 18) < 1e-6);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_metric_apply_gives_an_example_by_hand),
              cmocka_unit_test(esp_metric_apply_gives_the_quadratic_form),
              cmocka_unit_test(esp_metric_apply_takes_a_singular_metric),
              cmocka_unit_test(esp_metric_apply_refuses_what_is_no_metric),
              cmocka_unit_test(esp_metric_price_whole_gives_an_example_by_hand),
              cmocka_unit_test(esp_metric_price_whole_adds_outputs))
