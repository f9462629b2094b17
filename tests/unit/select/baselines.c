/* The baselines' scores by hand, on a site with two units of two features and two outputs. */
#include "ranking.h"

#include <math.h>
#include <string.h>

static const float map[8] = {1, -2, 0, 3, -1, 0, 2, -3}; // (2, 4)
static const double norm[4] = {1, 2, 3, 4}, variance[4] = {1, 2, 3, 4};
static const double activation[4] = {0.5, 0.25, 1, 2}, mean[4] = {1, 0, 0, 2};
static const double covariance[16] = {1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4};

static esp_evidence new_evidence(void) {
  return (esp_evidence){.site = "s",
                        .units = 2,
                        .width = 2,
                        .outputs = 2,
                        .map = map,
                        .norm = norm,
                        .variance = variance,
                        .activation = activation,
                        .mean = mean,
                        .covariance = covariance,
                        .ridge = 0.5};
}

static void check(const char *name, double first, double second) {
  const esp_evidence evidence = new_evidence();
  const ranking found = must_rank(name, &evidence);
  assert_true(fabs(found.score[0] - first) < 1e-12 && fabs(found.score[1] - second) < 1e-12);
  assert_int_equal(found.order[0], second > first ? 1 : 0);
  assert_int_equal(found.order[1], second > first ? 0 : 1);
}

/* (|1| + |-1|) / 2 * 1 + (|-2| + 0) / 2 * 2; (0 + 2) / 2 * 3 + (3 + 3) / 2 * 4. */
static void wanda_is_the_mean_weight_times_the_norm(void **state) {
  (void)state;
  check("wanda", 3.0, 15.0);
}

/* 1 (1 + 1) + 2 * 4; 3 * 4 + 4 (9 + 9). */
static void flap_is_the_variance_times_the_squared_norm(void **state) {
  (void)state;
  check("flap", 10.0, 84.0);
}

static void activation_sums_the_features(void **state) {
  (void)state;
  check("activation", 0.75, 3.0);
}

/* C = diag(1 + 1, 2, 3, 4 + 4) but for C_03 = mean_0 mean_3 = 2; lambda = 0.5 * 15 / 4 = 1.875. In
 * the block {0, 3}: the determinant of C + lambda I is 3.875 * 9.875 - 4, its inverse's
 * diagonal 9.875 and 3.875 over it. */
static void leverage_is_the_ridge_hat_of_the_second_moments(void **state) {
  (void)state;
  const double lambda = 1.875, determinant = 3.875 * 9.875 - 4.0;
  const double first = 2.0 - lambda * (9.875 / determinant + 1.0 / (2.0 + lambda));
  const double second = 2.0 - lambda * (1.0 / (3.0 + lambda) + 3.875 / determinant);
  check("leverage", first, second);
}

static void expect_numeric(const char *name, esp_evidence evidence) {
  ranking result;
  assert_failure(rank(name, &evidence, &result), ESP_NUMERIC, "'s'");
}

static void baselines_reject_nan(void **state) {
  (void)state;
  const double bad[4] = {1, NAN, 1, 1};
  esp_evidence evidence = new_evidence();
  evidence.norm = evidence.variance = evidence.activation = evidence.mean = bad;
  expect_numeric("wanda", evidence);
  expect_numeric("flap", evidence);
  expect_numeric("activation", evidence);
  expect_numeric("leverage", evidence);
}

ESP_TEST_MAIN(cmocka_unit_test(wanda_is_the_mean_weight_times_the_norm),
              cmocka_unit_test(flap_is_the_variance_times_the_squared_norm),
              cmocka_unit_test(activation_sums_the_features),
              cmocka_unit_test(leverage_is_the_ridge_hat_of_the_second_moments),
              cmocka_unit_test(baselines_reject_nan))
