#include "unit.h"

#include "espalier/core/clones.h"
#include "espalier/core/elementary.h"

#include <math.h>

enum { POINTS = 400000 };

static double worse(double worst, double got, double expected) {
  return fmax(worst, fabs(got / expected - 1.0));
}

static void exp_fast_is_near_exp(void **state) {
  double worst = 0.0;
  (void)state;
  for (int i = 0; i <= POINTS; i++) {
    const float x = -87.0f + 175.0f * (float)i / POINTS;
    worst = worse(worst, (double)esp_exp_fast(x), exp((double)x));
  }
  assert_true(worst < 2e-7);
}

static void exp_double_is_near_exp(void **state) {
  double worst = 0.0;
  (void)state;
  for (int i = 0; i <= POINTS; i++) {
    const double x = -708.0 + 1417.0 * i / POINTS;
    worst = worse(worst, esp_exp_double(x), exp(x));
  }
  assert_true(worst < 5e-16);
  assert_true(esp_exp_double(0.0) == 1.0);
}

static void erf_fast_is_near_erf(void **state) {
  double worst = 0.0;
  (void)state;
  for (int i = 1; i <= POINTS; i++) {
    const float x = 5.0f * (float)i / POINTS;
    worst = worse(worst, (double)esp_erf_fast(x), erf((double)x));
    assert_true(esp_erf_fast(-x) == -esp_erf_fast(x));
  }
  assert_true(worst < 2e-7);
  assert_true(esp_erf_fast(0.0f) == 0.0f && esp_erf_fast(INFINITY) == 1.0f);
}

static void nan_stays_nan(void **state) {
  (void)state;
  assert_true(isnan(esp_exp_fast(NAN)) && isnan(esp_exp_double((double)NAN)));
  assert_true(isnan(esp_erf_fast(NAN)));
}

static void large_arguments_are_clamped(void **state) {
  (void)state;
  assert_true(esp_exp_double(-1e9) == esp_exp_double(-708.0));
  assert_true(isfinite(esp_exp_double(1e9)) && isfinite(esp_exp_fast(1e9f)));
}

ESP_CLONES static void apply_all(const double *x, double *y, int n) {
  for (int i = 0; i < n; i++) y[i] = esp_exp_double(x[i]);
}

/* What the machine's instruction set gives has the bits of the plain one. */
static void vectors_have_the_bits_of_scalars(void **state) {
  double x[37], y[37];
  (void)state;
  for (int i = 0; i < 37; i++) x[i] = -3.7 * i + 11.0 / (1 + i);
  apply_all(x, y, 37);
  for (int i = 0; i < 37; i++) {
    volatile double one = x[i];
    assert_true(esp_exp_double(one) == y[i]);
  }
}

ESP_TEST_MAIN(cmocka_unit_test(exp_fast_is_near_exp), cmocka_unit_test(exp_double_is_near_exp),
              cmocka_unit_test(erf_fast_is_near_erf), cmocka_unit_test(nan_stays_nan),
              cmocka_unit_test(large_arguments_are_clamped),
              cmocka_unit_test(vectors_have_the_bits_of_scalars))
