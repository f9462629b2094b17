#include "espalier/linalg/exact.h"

#include "unit.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { N = 37, ROWS = 261, COLS = 531, BATCHES = 3, STRIDE = 540 };

/* (BATCHES, N, STRIDE); column j spans four orders of magnitude; beyond the columns stands NaN. */
static float *make_batches(int64_t cols, uint64_t stream) {
  float *values = ESP_NEW(float, (BATCHES * N * STRIDE));
  for (int64_t i = 0; i < BATCHES * N * STRIDE; i++) {
    const int64_t j = i % STRIDE;
    const double sd = pow(10, (double)(j % 9) / 2 - 2);
    values[i] = j < cols ? (float)(sd * esp_rng_normal(5, stream, (uint64_t)i)) : NAN;
  }
  return values;
}

static double *make_rms(const float *values, int64_t cols) {
  double *rms = ESP_NEW(double, cols);
  for (int64_t s = 0; s < N; s++) // the pilot is the first micro-batch
    for (int64_t j = 0; j < cols; j++)
      rms[j] += (double)values[s * STRIDE + j] * (double)values[s * STRIDE + j] / N;
  for (int64_t j = 0; j < cols; j++) rms[j] = sqrt(rms[j]);
  return rms;
}

static double multiply(const float *a, int64_t i, const float *b, int64_t j) {
  double sum = 0;
  for (int64_t s = 0; s < BATCHES * N; s++)
    sum += (double)a[s * STRIDE + i] * (double)b[s * STRIDE + j];
  return sum;
}

/* Data of a test: a beside b, with accumulators for both kinds of product. */
typedef struct fixture {
  float *a, *b;
  double *a_rms, *b_rms;
} fixture;

static fixture make_fixture(void) {
  fixture f = {.a = make_batches(ROWS, 0), .b = make_batches(COLS, 1)};
  f.a_rms = make_rms(f.a, ROWS);
  f.b_rms = make_rms(f.b, COLS);
  return f;
}

static void free_fixture(fixture *f) {
  esp_free(&f->a);
  esp_free(&f->b);
  esp_free(&f->a_rms);
  esp_free(&f->b_rms);
}

static esp_exact sum_cross(const fixture *f, const int order[BATCHES]) {
  esp_exact sums;
  esp_exact_init(&sums, ROWS, COLS, f->a_rms, f->b_rms);
  for (int i = 0; i < BATCHES; i++) {
    const int64_t at = (int64_t)order[i] * N * STRIDE;
    assert_int_equal(esp_exact_add_local(&sums, N, f->a + at, STRIDE, f->b + at, STRIDE), ESP_OK);
  }
  return sums;
}

static esp_exact sum_gram(const fixture *f, const int order[BATCHES]) {
  esp_exact sums;
  esp_exact_init(&sums, COLS, COLS, f->b_rms, f->b_rms);
  for (int i = 0; i < BATCHES; i++) {
    const float *batch = f->b + (int64_t)order[i] * N * STRIDE;
    assert_int_equal(esp_exact_add_local(&sums, N, batch, STRIDE, batch, STRIDE), ESP_OK);
  }
  return sums;
}

static const int in_order[BATCHES] = {0, 1, 2}, out_of_order[BATCHES] = {2, 0, 1};

/* Largest error of a sum, relative to the roots of its columns' sums of squares. */
static double find_error(const esp_exact *sums, const float *a, const float *b) {
  double worst = 0;
  for (int64_t i = 0; i < sums->rows; i += 7)
    for (int64_t j = 0; j < sums->cols; j += 3) {
      const double scale = sqrt(multiply(a, i, a, i) * multiply(b, j, b, j));
      worst = fmax(worst, fabs(esp_exact_get(sums, i, j) - multiply(a, i, b, j)) / scale);
    }
  return worst;
}

static bool is_same(const esp_exact *one, const esp_exact *other) {
  const size_t bytes = (size_t)(one->rows * one->cols) * sizeof *one->sum;
  return one->largest == other->largest && memcmp(one->sum, other->sum, bytes) == 0;
}

static void add_equals_the_sum_in_double(void **state) {
  (void)state;
  fixture f = make_fixture();
  esp_exact sums = sum_cross(&f, in_order);
  const double error = find_error(&sums, f.a, f.b);
  esp_exact_clear(&sums);
  free_fixture(&f);
  assert_true(error < 1e-6);
}

static void add_of_a_gram_matrix_equals_the_sum_in_double(void **state) {
  (void)state;
  fixture f = make_fixture();
  esp_exact sums = sum_gram(&f, in_order);
  const double error = find_error(&sums, f.b, f.b);
  const bool symmetric = esp_exact_get(&sums, 530, 3) == esp_exact_get(&sums, 3, 530);
  esp_exact_clear(&sums);
  free_fixture(&f);
  assert_true(error < 1e-6);
  assert_true(symmetric);
}

static void add_of_a_gram_matrix_equals_the_general_product(void **state) {
  (void)state;
  fixture f = make_fixture();
  esp_exact gram = sum_gram(&f, in_order), general;
  float *copy = make_batches(COLS, 1);
  esp_exact_init(&general, COLS, COLS, f.b_rms, f.b_rms);
  for (int64_t at = 0; at < BATCHES * N * STRIDE; at += N * STRIDE)
    assert_int_equal(esp_exact_add_local(&general, N, f.b + at, STRIDE, copy + at, STRIDE), ESP_OK);
  bool same = true;
  for (int64_t i = 0; i < COLS; i++)
    for (int64_t j = i; j < COLS; j++)
      same = same && gram.sum[i * COLS + j] == general.sum[i * COLS + j];
  esp_exact_clear(&gram);
  esp_exact_clear(&general);
  esp_free(&copy);
  free_fixture(&f);
  assert_true(same);
}

static void add_tells_a_diagonal_what_it_adds_to_it(void **state) {
  (void)state;
  fixture f = make_fixture();
  esp_exact gram, even;
  esp_exact_init(&gram, COLS, COLS, f.b_rms, f.b_rms);
  esp_exact_init_diagonal(&even, &gram);
  for (int64_t i = 0; i < BATCHES; i++) {
    const float *b = f.b + i * N * STRIDE;
    gram.diagonal = i % 2 == 0 ? even.sum : NULL;
    assert_int_equal(esp_exact_add_local(&gram, N, b, STRIDE, b, STRIDE), ESP_OK);
  }
  esp_exact half;
  esp_exact_init(&half, COLS, COLS, f.b_rms, f.b_rms);
  for (int64_t i = 0; i < BATCHES; i += 2) {
    const float *b = f.b + i * N * STRIDE;
    assert_int_equal(esp_exact_add_local(&half, N, b, STRIDE, b, STRIDE), ESP_OK);
  }
  bool same = true;
  for (int64_t i = 0; i < COLS; i++)
    same = same && esp_exact_get(&even, i, 0) == esp_exact_get(&half, i, i) &&
           esp_exact_get(&half, i, i) < esp_exact_get(&gram, i, i);
  esp_exact *all[] = {&gram, &even, &half};
  for (size_t i = 0; i < ESP_COUNT(all); i++) esp_exact_clear(all[i]);
  free_fixture(&f);
  assert_true(same);
}

static void add_in_another_order_gives_the_same_bits(void **state) {
  (void)state;
  fixture f = make_fixture();
  esp_exact one = sum_cross(&f, in_order), other = sum_cross(&f, out_of_order);
  const bool same = is_same(&one, &other);
  esp_exact_clear(&one);
  esp_exact_clear(&other);
  free_fixture(&f);
  assert_true(same);
}

static void add_gives_the_same_bits_at_any_thread_count(void **state) {
  (void)state;
  fixture f = make_fixture();
  omp_set_num_threads(1);
  esp_exact one = sum_cross(&f, in_order), one_gram = sum_gram(&f, in_order);
  omp_set_num_threads(2);
  esp_exact two = sum_cross(&f, in_order);
  omp_set_num_threads(3);
  esp_exact three_gram = sum_gram(&f, in_order);
  omp_set_num_threads(1);
  const bool same = is_same(&one, &two), same_gram = is_same(&one_gram, &three_gram);
  esp_exact *all[] = {&one, &two, &one_gram, &three_gram};
  for (size_t i = 0; i < ESP_COUNT(all); i++) esp_exact_clear(all[i]);
  free_fixture(&f);
  assert_true(same && same_gram);
}

static void add_is_exact_on_small_integers(void **state) {
  (void)state;
  const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {-1, 7, 0.5F}; // a (3, 2), b (3, 1)
  esp_exact sums;
  esp_exact_init(&sums, 2, 1, NULL, NULL);
  assert_int_equal(esp_exact_add_local(&sums, 3, a, 2, b, 1), ESP_OK);
  assert_true(sums.sum[0] == (int64_t)(22.5 * (1 << 26)));
  assert_true(esp_exact_get(&sums, 0, 0) == 22.5 && esp_exact_get(&sums, 1, 0) == 29);
  esp_exact_clear(&sums);
}

static void add_rounds_to_the_nearest_fraction(void **state) {
  (void)state;
  const float a[] = {0x1.4p-26F, 0x1.cp-26F, -0x1.8p-26F, 0x1p-27F}, one[] = {1};
  const int64_t expected[] = {1, 2, -2, 0}; // ties to even
  esp_exact sums;
  esp_exact_init(&sums, 4, 1, NULL, NULL);
  assert_int_equal(esp_exact_add_local(&sums, 1, a, 4, one, 1), ESP_OK);
  assert_memory_equal(sums.sum, expected, sizeof expected);
  esp_exact_clear(&sums);
}

static void add_without_b_sums_the_columns(void **state) {
  (void)state;
  const float a[] = {1, -2, 3, 4, 5, 0.25F};
  esp_exact sums;
  esp_exact_init(&sums, 2, 1, (const double[]){4, 0.01}, NULL);
  assert_int_equal(esp_exact_add_local(&sums, 3, a, 2, NULL, 0), ESP_OK);
  assert_true(esp_exact_get(&sums, 0, 0) == 9 && esp_exact_get(&sums, 1, 0) == 2.25);
  esp_exact_clear(&sums);
}

static void add_of_no_samples_changes_nothing(void **state) {
  (void)state;
  const float a[] = {NAN};
  esp_exact sums;
  esp_exact_init(&sums, 1, 1, NULL, NULL);
  assert_int_equal(esp_exact_add_local(&sums, 0, a, 1, a, 1), ESP_OK);
  assert_true(esp_exact_get(&sums, 0, 0) == 0 && sums.largest == 0);
  esp_exact_clear(&sums);
}

static void init_takes_no_rows_and_clears_twice(void **state) {
  (void)state;
  const float a[] = {1, 2};
  esp_exact sums;
  esp_exact_init(&sums, 0, 2, NULL, NULL);
  assert_int_equal(esp_exact_add_local(&sums, 1, a, 0, a, 2), ESP_OK);
  esp_exact_clear(&sums);
  esp_exact_clear(&sums);
  assert_null(sums.sum);
}

static void init_raises_tiny_and_bad_rms(void **state) {
  (void)state;
  const double rms[] = {8, 0, 1e-30, NAN, 1}, zero[] = {0};
  esp_exact sums;
  esp_exact_init(&sums, 5, 1, rms, zero);
  const int expected[] = {3, -9, -9, -9, 0};
  assert_memory_equal(sums.row_exponent, expected, sizeof expected);
  assert_int_equal(sums.col_exponent[0], 0);
  esp_exact_clear(&sums);
}

/* Status of one micro-batch of one sample at a pilot of 1. */
static esp_status add_one(float a, float b, double *sum) {
  esp_exact sums;
  esp_exact_init(&sums, 1, 1, NULL, NULL);
  const esp_status status = esp_exact_add_local(&sums, 1, &a, 1, &b, 1);
  *sum = esp_exact_get(&sums, 0, 0);
  esp_exact_clear(&sums);
  return status;
}

static void add_keeps_what_the_head_room_allows(void **state) {
  (void)state;
  double sum;
  assert_int_equal(add_one(0x1p18F, -0x1.000002p17F, &sum), ESP_OK); // beyond the fast rounding
  assert_true(sum == -0x1.000002p35);
}

static void add_beyond_the_head_room_is_numeric(void **state) {
  (void)state;
  double sum;
  assert_failure(add_one(0x1p18F, 0x1p18F, &sum), ESP_NUMERIC, "pilot");
  assert_failure(add_one(0x1p100F, 0x1p100F, &sum), ESP_NUMERIC, "pilot");
}

static void add_of_many_that_leave_the_head_room_is_numeric(void **state) {
  (void)state;
  const float a = 0x1p18F, b = 0x1p16F; // 2^60 in fixed point
  esp_exact sums;
  esp_exact_init(&sums, 1, 1, NULL, NULL);
  for (int i = 0; i < 3; i++) assert_int_equal(esp_exact_add_local(&sums, 1, &a, 1, &b, 1), ESP_OK);
  assert_failure(esp_exact_add_local(&sums, 1, &a, 1, &b, 1), ESP_NUMERIC, "pilot");
  esp_exact_clear(&sums);
}

static void add_of_nan_names_unit_and_sample(void **state) {
  (void)state;
  fixture f = make_fixture();
  f.a[4 * STRIDE + 200] = NAN;
  esp_exact sums;
  esp_exact_init(&sums, ROWS, COLS, f.a_rms, f.b_rms);
  const esp_status status = esp_exact_add_local(&sums, N, f.a, STRIDE, f.b, STRIDE);
  esp_exact_clear(&sums);
  free_fixture(&f);
  assert_failure(status, ESP_NUMERIC, "nan in row unit 200, sample 4");
}

static void add_of_infinity_names_the_side(void **state) {
  (void)state;
  double sum;
  assert_failure(add_one(0, -INFINITY, &sum), ESP_NUMERIC, "-inf in column unit 0, sample 0");
}

ESP_TEST_MAIN(cmocka_unit_test(add_equals_the_sum_in_double),
              cmocka_unit_test(add_of_a_gram_matrix_equals_the_sum_in_double),
              cmocka_unit_test(add_of_a_gram_matrix_equals_the_general_product),
              cmocka_unit_test(add_tells_a_diagonal_what_it_adds_to_it),
              cmocka_unit_test(add_in_another_order_gives_the_same_bits),
              cmocka_unit_test(add_gives_the_same_bits_at_any_thread_count),
              cmocka_unit_test(add_is_exact_on_small_integers),
              cmocka_unit_test(add_rounds_to_the_nearest_fraction),
              cmocka_unit_test(add_without_b_sums_the_columns),
              cmocka_unit_test(add_of_no_samples_changes_nothing),
              cmocka_unit_test(init_takes_no_rows_and_clears_twice),
              cmocka_unit_test(init_raises_tiny_and_bad_rms),
              cmocka_unit_test(add_keeps_what_the_head_room_allows),
              cmocka_unit_test(add_beyond_the_head_room_is_numeric),
              cmocka_unit_test(add_of_many_that_leave_the_head_room_is_numeric),
              cmocka_unit_test(add_of_nan_names_unit_and_sample),
              cmocka_unit_test(add_of_infinity_names_the_side))
