/* Histograms, information and covariance from joint counts. */
#include "espalier/information/information.h"

#include "espalier/information/joint.h"
#include "unit.h"

#include <math.h>
#include <string.h>

enum { MAX_CELLS = ESP_MAX_BINS * ESP_MAX_BINS };

/* The counts of two columns of codes. */
typedef struct counted {
  int32_t joint[MAX_CELLS];
  int64_t x[ESP_MAX_BINS], y[ESP_MAX_BINS];
  esp_pair_counts pair;
} counted;

static const esp_pair_counts *count_codes(counted *self, const uint8_t *x, const uint8_t *y,
                                          int64_t n, int bins) {
  memset(self, 0, sizeof *self);
  esp_count_joint_naive(x, y, n, bins, self->joint);
  for (int64_t s = 0; s < n; s++)
    for (int a = 0; a < bins - 1; a++) {
      self->x[a] += x[s] > a;
      self->y[a] += y[s] > a;
    }
  self->pair = (esp_pair_counts){
      .joint = self->joint, .x = self->x, .y = self->y, .x_bins = bins, .y_bins = bins};
  return &self->pair;
}

static double compute_information(const uint8_t *x, const uint8_t *y, int64_t n, int bins,
                                  double *plug_in) {
  counted counts;
  esp_entropy_table table;
  esp_entropy_table_init(&table, n);
  const double information =
      esp_compute_information(&table, count_codes(&counts, x, y, n, bins), plug_in);
  esp_entropy_table_clear(&table);
  return information;
}

/* The same with the sums over each unit's codes given. */
static double compute_with_sums(const uint8_t *x, const uint8_t *y, int64_t n, int bins) {
  counted counts;
  esp_entropy_table table;
  esp_entropy_table_init(&table, n);
  esp_pair_counts pair = *count_codes(&counts, x, y, n, bins);
  const esp_cell_sum x_sum = esp_sum_codes(&table, pair.x, bins),
                     y_sum = esp_sum_codes(&table, pair.y, bins);
  pair.x_sum = &x_sum;
  pair.y_sum = &y_sum;
  const double information = esp_compute_information(&table, &pair, NULL);
  esp_entropy_table_clear(&table);
  return information;
}

static void draw_codes(uint64_t stream, int64_t n, uint64_t bins, uint8_t *codes) {
  for (int64_t s = 0; s < n; s++) codes[s] = (uint8_t)esp_rng_below(21, stream, (uint64_t)s, bins);
}

static void assert_near(double found, double expected, double tolerance) {
  if (!(fabs(found - expected) <= tolerance))
    fail_msg("%.17g is not %.17g within %g", found, expected, tolerance);
}

static void compute_information_is_the_same_by_known_sums(void **state) {
  (void)state;
  uint8_t x[500], y[500];
  for (int bins = 2; bins <= ESP_MAX_BINS; bins++) {
    draw_codes(1, 500, (uint64_t)bins, x);
    draw_codes(2, 500, (uint64_t)bins, y);
    for (int s = 0; s < 500; s += 2) y[s] = x[s];
    const double value = compute_information(x, y, 500, bins, NULL);
    assert_true(value > 0.1 && compute_with_sums(x, y, 500, bins) == value);
  }
}

static void compute_histogram_of_worked_example(void **state) {
  (void)state;
  const uint8_t x[] = {0, 1, 2, 2, 1, 0}, y[] = {0, 2, 2, 1, 0, 0};
  const int64_t expected[] = {2, 0, 0, 1, 0, 1, 0, 1, 1};
  int64_t histogram[9];
  counted counts;
  esp_compute_histogram(count_codes(&counts, x, y, 6, 3), 6, histogram);
  assert_memory_equal(histogram, expected, sizeof expected);
}

static void compute_histogram_takes_different_bins(void **state) {
  (void)state;
  const int32_t joint[] = {2, 1, 1}; // x in 2 bins, y in 4
  const int64_t x[] = {3}, y[] = {4, 2, 1}, expected[] = {1, 1, 1, 0, 1, 1, 0, 1};
  int64_t histogram[8];
  esp_compute_histogram(
      &(esp_pair_counts){.joint = joint, .x = x, .y = y, .x_bins = 2, .y_bins = 4}, 6, histogram);
  assert_memory_equal(histogram, expected, sizeof expected);
}

static void compute_information_of_independent_codes_is_zero(void **state) {
  (void)state;
  uint8_t x[64], y[64];
  for (int s = 0; s < 64; s++) {
    x[s] = (uint8_t)(s / 4 % 4);
    y[s] = (uint8_t)(s % 4);
  }
  double plug_in;
  assert_near(compute_information(x, y, 64, 4, &plug_in), 0, 0);
  assert_near(plug_in, 0, 1e-12);
}

static void compute_information_of_identical_codes_is_log_bins(void **state) {
  (void)state;
  uint8_t x[1024];
  for (int bins = 2; bins <= 16; bins *= 2) {
    for (int s = 0; s < 1024; s++) x[s] = (uint8_t)(s % bins);
    double plug_in;
    compute_information(x, x, 1024, bins, &plug_in);
    assert_near(plug_in, log(bins), 1e-12);
  }
}

static void compute_information_of_xor_needs_both_inputs(void **state) {
  (void)state;
  uint8_t x[64], both[64], xor[64];
  for (int s = 0; s < 64; s++) {
    x[s] = s & 1;
    both[s] = s & 3;
    xor[s] = (uint8_t)((s ^ s >> 1) & 1);
  }
  double one, two;
  compute_information(x, xor, 64, 4, &one);
  compute_information(both, xor, 64, 4, &two);
  assert_near(one, 0, 1e-12);
  assert_near(two, log(2), 1e-12);
}

static void compute_information_adds_miller_madow(void **state) {
  (void)state;
  const uint8_t x[] = {0, 1, 0, 1, 1, 0, 1, 0}, y[] = {0, 1, 0, 1, 1, 0, 0, 1};
  double plug_in;
  const double same = compute_information(x, x, 8, 2, &plug_in);
  assert_near(same - plug_in, 1 / 16.0, 1e-15); // R = 2, 2, 2
  const double four = compute_information(x, y, 8, 2, &plug_in);
  assert_near(four - plug_in, -1 / 16.0, 1e-15); // R = 4, 2, 2
  assert_near(plug_in, log(2) + 0.75 * log(0.75) + 0.25 * log(0.25), 1e-12);
}

static void compute_information_is_clipped_at_zero(void **state) {
  (void)state;
  uint8_t x[2000], y[2000];
  int clipped = 0;
  for (uint64_t trial = 0; trial < 30; trial++) {
    draw_codes(2 * trial, 2000, 4, x);
    draw_codes(2 * trial + 1, 2000, 4, y);
    double plug_in;
    const double information = compute_information(x, y, 2000, 4, &plug_in);
    assert_true(information >= 0 && plug_in > 0 && information < 0.01);
    clipped += information == 0;
  }
  assert_in_range(clipped, 5, 25);
}

static void compute_information_is_symmetric(void **state) {
  (void)state;
  uint8_t x[500], y[500];
  draw_codes(1, 500, 5, x);
  draw_codes(2, 500, 2, y);
  for (int s = 0; s < 500; s++) y[s] = (uint8_t)(y[s] + x[s] / 2);
  const double information = compute_information(x, y, 500, 5, NULL);
  assert_true(information > 0.1);
  assert_near(compute_information(y, x, 500, 5, NULL), information, 1e-12);
}

static void compute_information_equals_its_definition(void **state) {
  (void)state;
  enum { N = 900, B = 3 };
  uint8_t x[N], y[N];
  draw_codes(3, N, B, x);
  for (int s = 0; s < N; s++) y[s] = (uint8_t)(s % 3 ? x[s] : s % 7 % B);
  double p[B][B] = {{0}}, px[B] = {0}, py[B] = {0}, expected = 0, plug_in;
  for (int s = 0; s < N; s++) p[x[s]][y[s]] += 1.0 / N, px[x[s]] += 1.0 / N, py[y[s]] += 1.0 / N;
  for (int a = 0; a < B; a++)
    for (int b = 0; b < B; b++)
      if (p[a][b] > 0) expected += p[a][b] * log(p[a][b] / (px[a] * py[b]));
  compute_information(x, y, N, B, &plug_in);
  assert_near(plug_in, expected, 1e-12);
}

static void compute_information_of_constant_unit_is_exactly_zero(void **state) {
  (void)state;
  uint8_t x[777], y[777];
  draw_codes(4, 777, 4, y);
  for (int constant = 0; constant < 4; constant++) {
    memset(x, constant, sizeof x);
    double plug_in = -1;
    assert_true(compute_information(x, y, 777, 4, &plug_in) == 0 && plug_in == 0);
    assert_true(compute_information(y, x, 777, 4, &plug_in) == 0 && plug_in == 0);
  }
}

static void compute_information_without_samples_is_zero(void **state) {
  (void)state;
  double plug_in = -1;
  assert_true(compute_information(NULL, NULL, 0, 4, &plug_in) == 0 && plug_in == 0);
}

static void compute_information_goes_on_beyond_the_table(void **state) {
  (void)state;
  const int64_t samples = INT64_C(1) << 24, half[] = {samples / 2};
  const int32_t joint[] = {1 << 23};
  esp_entropy_table table;
  esp_entropy_table_init(&table, samples);
  double plug_in;
  esp_compute_information(
      &table, &(esp_pair_counts){.joint = joint, .x = half, .y = half, .x_bins = 2, .y_bins = 2},
      &plug_in);
  assert_near(plug_in, log(2), 1e-12);
  esp_entropy_table_clear(&table);
}

static void compute_code_covariance_equals_direct_computation(void **state) {
  (void)state;
  enum { N = 5000 };
  static uint8_t x[N], y[N];
  draw_codes(5, N, 8, x);
  draw_codes(6, N, 2, y);
  double mean_x = 0, mean_y = 0, covariance = 0;
  for (int s = 0; s < N; s++) y[s] = (uint8_t)(s % 5 ? x[s] : 7 * y[s]);
  for (int s = 0; s < N; s++) mean_x += x[s] / (double)N, mean_y += y[s] / (double)N;
  for (int s = 0; s < N; s++) covariance += (x[s] - mean_x) * (y[s] - mean_y) / N;
  counted counts;
  assert_near(esp_compute_code_covariance(count_codes(&counts, x, y, N, 8), N), covariance, 1e-10);
}

static void compute_code_covariance_of_constant_unit_is_zero(void **state) {
  (void)state;
  uint8_t x[100], y[100];
  memset(x, 3, sizeof x);
  draw_codes(7, 100, 4, y);
  counted counts;
  assert_true(esp_compute_code_covariance(count_codes(&counts, x, y, 100, 4), 100) == 0);
}

static void compute_code_covariance_without_samples_is_zero(void **state) {
  (void)state;
  counted counts;
  assert_true(esp_compute_code_covariance(count_codes(&counts, NULL, NULL, 0, 4), 0) == 0);
}

ESP_TEST_MAIN(cmocka_unit_test(compute_information_is_the_same_by_known_sums),
              cmocka_unit_test(compute_histogram_of_worked_example),
              cmocka_unit_test(compute_histogram_takes_different_bins),
              cmocka_unit_test(compute_information_of_independent_codes_is_zero),
              cmocka_unit_test(compute_information_of_identical_codes_is_log_bins),
              cmocka_unit_test(compute_information_of_xor_needs_both_inputs),
              cmocka_unit_test(compute_information_adds_miller_madow),
              cmocka_unit_test(compute_information_is_clipped_at_zero),
              cmocka_unit_test(compute_information_is_symmetric),
              cmocka_unit_test(compute_information_equals_its_definition),
              cmocka_unit_test(compute_information_of_constant_unit_is_exactly_zero),
              cmocka_unit_test(compute_information_without_samples_is_zero),
              cmocka_unit_test(compute_information_goes_on_beyond_the_table),
              cmocka_unit_test(compute_code_covariance_equals_direct_computation),
              cmocka_unit_test(compute_code_covariance_of_constant_unit_is_zero),
              cmocka_unit_test(compute_code_covariance_without_samples_is_zero))
