#include "unit.h"

#include "flow_internal.h"

#include <math.h>
#include <string.h>

enum { ROWS = 5, CLASSES = 7 };

static void fill(float *logits, int32_t *labels) {
  for (int i = 0; i < ROWS * CLASSES; i++)
    logits[i] = (float)(3.0 * esp_rng_normal(1, 0, (uint64_t)i));
  for (int r = 0; r < ROWS; r++) labels[r] = (int32_t)esp_rng_below(1, 1, (uint64_t)r, CLASSES);
}

static double naive_loss(const double *logits, const int32_t *labels) {
  double loss = 0.0;
  for (int r = 0; r < ROWS; r++) {
    double sum = 0.0;
    for (int c = 0; c < CLASSES; c++) sum += exp(logits[r * CLASSES + c]);
    loss += log(sum) - logits[r * CLASSES + labels[r]];
  }
  return loss;
}

static void cross_entropy_compute_is_log_four_by_hand(void **state) {
  (void)state;
  const float logits[2] = {0.0f, 1.0986122887f}; // odds 1 : 3
  const int32_t label = 0;
  float dlogits[2];
  assert_true(fabs(cross_entropy_compute(logits, &label, 1, 2, dlogits) - log(4.0)) < 1e-7);
  assert_float_equal(dlogits[0], -0.75f, 1e-6f);
  assert_float_equal(dlogits[1], 0.75f, 1e-6f);
}

static void cross_entropy_compute_of_equal_logits_is_the_log_of_the_classes(void **state) {
  (void)state;
  const float logits[2 * 4] = {7, 7, 7, 7, -3, -3, -3, -3};
  const int32_t labels[2] = {3, 0};
  assert_true(fabs(cross_entropy_compute(logits, labels, 2, 4, NULL) - 2.0 * log(4.0)) < 1e-12);
}

static void cross_entropy_compute_sums_the_rows(void **state) {
  (void)state;
  float logits[ROWS * CLASSES];
  double exact[ROWS * CLASSES];
  int32_t labels[ROWS];
  fill(logits, labels);
  for (int i = 0; i < ROWS * CLASSES; i++) exact[i] = (double)logits[i];
  assert_true(fabs(cross_entropy_compute(logits, labels, ROWS, CLASSES, NULL) -
                   naive_loss(exact, labels)) < 1e-6); // its exponentials are in float
  assert_true(cross_entropy_compute(logits, labels, 0, CLASSES, NULL) == 0.0);
}

static void cross_entropy_compute_gradient_matches_central_differences(void **state) {
  (void)state;
  const double h = 1e-6;
  float logits[ROWS * CLASSES], dlogits[ROWS * CLASSES];
  double moved[ROWS * CLASSES];
  int32_t labels[ROWS];
  fill(logits, labels);
  for (int i = 0; i < ROWS * CLASSES; i++) moved[i] = (double)logits[i];
  cross_entropy_compute(logits, labels, ROWS, CLASSES, dlogits);
  for (int i = 0; i < ROWS * CLASSES; i++) {
    moved[i] = (double)logits[i] + h;
    const double above = naive_loss(moved, labels);
    moved[i] = (double)logits[i] - h;
    assert_true(fabs((above - naive_loss(moved, labels)) / (2 * h) - (double)dlogits[i]) < 1e-6);
    moved[i] = (double)logits[i];
  }
}

static void cross_entropy_compute_does_not_overflow(void **state) {
  (void)state;
  const float small[3] = {1.0f, 2.0f, 4.0f}, large[3] = {60001.0f, 60002.0f, 60004.0f};
  const float apart[2] = {-1e30f, 1e30f};
  const int32_t label = 0;
  assert_true(fabs(cross_entropy_compute(large, &label, 1, 3, NULL) -
                   cross_entropy_compute(small, &label, 1, 3, NULL)) < 1e-9);
  assert_true(fabs(cross_entropy_compute(apart, &label, 1, 2, NULL) / 2e30 - 1.0) < 1e-6);
}

static void cross_entropy_compute_of_a_nan_is_not_finite(void **state) {
  (void)state;
  const int32_t label = 1;
  for (int64_t bad = 0; bad < 3; bad++) {
    float logits[3] = {1.0f, 2.0f, 3.0f};
    logits[bad] = NAN;
    assert_true(!isfinite(cross_entropy_compute(logits, &label, 1, 3, NULL)));
  }
}

static void cross_entropy_count_correct_counts_rows_whose_label_is_largest(void **state) {
  (void)state;
  const float logits[4 * 3] = {1, 3, 2, 9, 0, 0, -1, -2, -3, 0, 5, 6};
  const int32_t labels[4] = {1, 0, 2, 2};
  assert_int_equal(cross_entropy_count_correct(logits, labels, 4, 3), 3);
  assert_int_equal(cross_entropy_count_correct(logits, labels, 0, 3), 0);
}

static void cross_entropy_count_correct_takes_the_lowest_index_on_ties(void **state) {
  (void)state;
  const float logits[3 * 3] = {2, 2, 1, 0, 4, 4, 5, 5, 5};
  const int32_t lowest[3] = {0, 1, 0}, highest[3] = {1, 2, 2};
  assert_int_equal(cross_entropy_count_correct(logits, lowest, 3, 3), 3);
  assert_int_equal(cross_entropy_count_correct(logits, highest, 3, 3), 0);
}

ESP_TEST_MAIN(cmocka_unit_test(cross_entropy_compute_is_log_four_by_hand),
              cmocka_unit_test(cross_entropy_compute_of_equal_logits_is_the_log_of_the_classes),
              cmocka_unit_test(cross_entropy_compute_sums_the_rows),
              cmocka_unit_test(cross_entropy_compute_gradient_matches_central_differences),
              cmocka_unit_test(cross_entropy_compute_does_not_overflow),
              cmocka_unit_test(cross_entropy_compute_of_a_nan_is_not_finite),
              cmocka_unit_test(cross_entropy_count_correct_counts_rows_whose_label_is_largest),
              cmocka_unit_test(cross_entropy_count_correct_takes_the_lowest_index_on_ties))
