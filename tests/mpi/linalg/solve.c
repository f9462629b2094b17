#include "espalier/linalg/solve.h"

#include "mpi.h"

#include <math.h>
#include <string.h>

/* A random system: G = V V' / n + 0.5 on the diagonal, by single elements. */
typedef struct sample {
  int64_t n, n_rhs;
  double *gram, *rhs; // (n, n), (n, n_rhs)
  int64_t bad_row;    // row of a value that is not what it should be, or -1
  double bad_value;
  bool bad_rhs;
} sample;

static int64_t whole; // of all problems

static int use_grid(void **state) {
  (void)state;
  whole = -1;
  return 0;
}

static int use_every_rank(void **state) {
  (void)state;
  whole = 0;
  return 0;
}

static double get_gram(const void *context, int64_t i, int64_t j) {
  const sample *s = context;
  if (!s->bad_rhs && i == s->bad_row && j == s->bad_row) return s->bad_value;
  return s->gram[i * s->n + j];
}

static double get_rhs(const void *context, int64_t i, int64_t j) {
  const sample *s = context;
  if (s->bad_rhs && i == s->bad_row) return s->bad_value;
  return s->rhs[i * s->n_rhs + j];
}

static sample make_sample(int64_t n, int64_t n_rhs) {
  sample s = {.n = n, .n_rhs = n_rhs, .bad_row = -1};
  double *v = ESP_NEW(double, (n * n));
  s.gram = ESP_NEW(double, (n * n));
  s.rhs = ESP_NEW(double, (n * n_rhs));
  for (int64_t i = 0; i < n * n; i++) v[i] = esp_rng_normal(1, 0, (uint64_t)i);
  for (int64_t i = 0; i < n * n_rhs; i++) s.rhs[i] = esp_rng_normal(1, 1, (uint64_t)i);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      for (int64_t k = 0; k < n; k++) s.gram[i * n + j] += v[i * n + k] * v[j * n + k] / (double)n;
      if (i == j) s.gram[i * n + j] += 0.5;
    }
  esp_free(&v);
  return s;
}

static void free_sample(sample *s) {
  esp_free(&s->gram);
  esp_free(&s->rhs);
}

static esp_spd_problem make_problem(const sample *s, double ridge) {
  return (esp_spd_problem){.n = s->n,
                           .n_rhs = s->n_rhs,
                           .ridge = ridge,
                           .gram = get_gram,
                           .rhs = get_rhs,
                           .context = s,
                           .whole = whole};
}

/* Textbook Cholesky: row by row, then forward and back substitution. */
static void factor(double *l, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      for (int64_t k = 0; k < j; k++) l[i * n + j] -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i == j ? sqrt(l[i * n + i]) : l[i * n + j] / l[j * n + j];
    }
}

static void substitute(const double *l, int64_t n, double *x, int64_t n_rhs) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t r = 0; r < n_rhs; r++) {
      for (int64_t k = 0; k < i; k++) x[i * n_rhs + r] -= l[i * n + k] * x[k * n_rhs + r];
      x[i * n_rhs + r] /= l[i * n + i];
    }
  for (int64_t i = n - 1; i >= 0; i--)
    for (int64_t r = 0; r < n_rhs; r++) {
      for (int64_t k = i + 1; k < n; k++) x[i * n_rhs + r] -= l[k * n + i] * x[k * n_rhs + r];
      x[i * n_rhs + r] /= l[i * n + i];
    }
}

static double *solve_naive(const sample *s, double ridge) {
  double *l = ESP_NEW(double, s->n * s->n), *x = ESP_NEW(double, s->n * s->n_rhs);
  memcpy(l, s->gram, (size_t)(s->n * s->n) * sizeof *l);
  memcpy(x, s->rhs, (size_t)(s->n * s->n_rhs) * sizeof *x);
  for (int64_t i = 0; i < s->n; i++) l[i * s->n + i] += ridge;
  factor(l, s->n);
  substitute(l, s->n, x, s->n_rhs);
  esp_free(&l);
  return x;
}

/* Largest difference relative to the largest value. */
static double compare(const double *x, const double *y, int64_t count) {
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < count; i++) {
    worst = fmax(worst, fabs(x[i] - y[i]));
    largest = fmax(largest, fabs(y[i]));
  }
  return worst / largest;
}

static double find_residual(const sample *s, double ridge, const double *x) {
  double worst = 0;
  for (int64_t i = 0; i < s->n; i++)
    for (int64_t r = 0; r < s->n_rhs; r++) {
      double left = ridge * x[i * s->n_rhs + r] - s->rhs[i * s->n_rhs + r];
      for (int64_t k = 0; k < s->n; k++) left += s->gram[i * s->n + k] * x[k * s->n_rhs + r];
      worst = fmax(worst, fabs(left));
    }
  return worst;
}

/* Solve over all ranks and check against the naive solver and the equations. */
static bool is_solved(int64_t n, int64_t n_rhs, double ridge) {
  sample s = make_sample(n, n_rhs);
  const esp_spd_problem problem = make_problem(&s, ridge);
  double *x = ESP_NEW(double, (n * n_rhs)), *expected = solve_naive(&s, ridge);
  const esp_status status = esp_solve_spd(&test_comm, &problem, x);
  const bool good = status == ESP_OK && compare(x, expected, n * n_rhs) < 1e-12 &&
                    find_residual(&s, ridge, x) < 1e-11;
  esp_free(&x);
  esp_free(&expected);
  free_sample(&s);
  return good;
}

static void solve_spd_equals_a_naive_cholesky(void **state) {
  (void)state;
  ASSERT_ALL(is_solved(37, 5, 0));
  ASSERT_ALL(is_solved(64, 64, 0.25));
}

static void solve_spd_takes_many_blocks_and_right_hand_sides(void **state) {
  (void)state;
  ASSERT_ALL(is_solved(203, 311, 0.1));
  ASSERT_ALL(is_solved(300, 1, 0));
}

static void solve_spd_takes_fewer_rows_than_ranks(void **state) {
  (void)state;
  ASSERT_ALL(is_solved(1, 1, 2));
  ASSERT_ALL(is_solved(1, 9, 0));
  ASSERT_ALL(is_solved(2, 3, 0));
}

static void solve_spd_of_one_unknown_divides(void **state) {
  (void)state;
  double gram = 3, rhs = 10, x = 0;
  const sample s = {.n = 1, .n_rhs = 1, .gram = &gram, .rhs = &rhs, .bad_row = -1};
  const esp_spd_problem problem = make_problem(&s, 1);
  ASSERT_ALL(esp_solve_spd(&test_comm, &problem, &x) == ESP_OK);
  ASSERT_ALL(fabs(x - 2.5) < 1e-15);
}

static void solve_spd_of_nothing_writes_nothing(void **state) {
  (void)state;
  double x = 17;
  const esp_spd_problem no_rhs = {.n = 3, .gram = get_gram, .rhs = get_rhs};
  const esp_spd_problem no_rows = {.n_rhs = 3, .gram = get_gram, .rhs = get_rhs};
  ASSERT_ALL(esp_solve_spd(&test_comm, &no_rhs, &x) == ESP_OK);
  ASSERT_ALL(esp_solve_spd(&test_comm, &no_rows, &x) == ESP_OK);
  ASSERT_ALL(x == 17);
}

static void solve_spd_agrees_with_one_rank(void **state) {
  (void)state;
  sample s = make_sample(150, 20);
  esp_comm alone;
  esp_comm_init_local(&alone);
  const esp_spd_problem problem = make_problem(&s, 0.01);
  double *x = ESP_NEW(double, 3000), *serial = ESP_NEW(double, 3000);
  const esp_status status = esp_solve_spd(&test_comm, &problem, x);
  const esp_status serial_status = esp_solve_spd(&alone, &problem, serial);
  const double difference = compare(x, serial, 3000);
  esp_comm_clear(&alone);
  esp_free(&x);
  esp_free(&serial);
  free_sample(&s);
  ASSERT_ALL(status == ESP_OK && serial_status == ESP_OK && difference < 1e-12);
}

static void solve_spd_is_equal_on_all_ranks(void **state) {
  (void)state;
  sample s = make_sample(70, 3);
  const esp_spd_problem problem = make_problem(&s, 0);
  double *x = ESP_NEW(double, 210), *first = ESP_NEW(double, 210);
  esp_solve_spd(&test_comm, &problem, x);
  memcpy(first, x, 210 * sizeof *x);
  esp_bcast(&test_comm, first, 210 * sizeof *x, 0);
  const bool same = memcmp(first, x, 210 * sizeof *x) == 0;
  esp_free(&x);
  esp_free(&first);
  free_sample(&s);
  ASSERT_ALL(same);
}

/* Status of a system of 130 unknowns with one bad value on the diagonal or the right-hand side. */
static esp_status solve_with(int64_t bad_row, double bad_value, bool bad_rhs) {
  sample s = make_sample(130, 4);
  s.bad_row = bad_row;
  s.bad_value = bad_value;
  s.bad_rhs = bad_rhs;
  const esp_spd_problem problem = make_problem(&s, 0);
  double *x = ESP_NEW(double, 130 * 4);
  const esp_status status = esp_solve_spd(&test_comm, &problem, x);
  esp_free(&x);
  free_sample(&s);
  return status;
}

static void solve_spd_names_the_minor_that_is_not_positive(void **state) {
  (void)state;
  const int64_t rows[] = {0, 40, 99, 129};
  for (size_t i = 0; i < ESP_COUNT(rows); i++) {
    char expected[64];
    snprintf(expected, sizeof expected, "order %d of 130", (int)rows[i] + 1);
    const esp_status status = solve_with(rows[i], -1, false);
    ASSERT_ALL(status == ESP_NUMERIC);
    ASSERT_ALL(strstr(esp_failure_text(), expected) != NULL);
  }
}

static void solve_spd_of_nan_on_one_rank_is_numeric_on_all(void **state) {
  (void)state;
  const bool bad = test_comm.rank == test_comm.size - 1;
  sample s = make_sample(64, 2);
  for (int64_t i = 0; bad && i < 64 * 64; i++) s.gram[i] = NAN;
  const esp_spd_problem problem = make_problem(&s, 0);
  double x[128];
  const esp_status status = esp_solve_spd(&test_comm, &problem, x);
  free_sample(&s);
  ASSERT_ALL(status == ESP_NUMERIC);
  ASSERT_ALL(strstr(esp_failure_text(), "finite second moments") != NULL);
}

static void solve_spd_names_a_right_hand_side_that_is_not_finite(void **state) {
  (void)state;
  const esp_status status = solve_with(77, INFINITY, true);
  ASSERT_ALL(status == ESP_NUMERIC);
  ASSERT_ALL(strstr(esp_failure_text(), "found inf at row 77") != NULL);
}

static void solve_spd_that_overflows_is_numeric(void **state) {
  (void)state;
  const double gram = 1e-300, rhs = 1e300;
  const sample s = {
      .n = 1, .n_rhs = 1, .gram = (double[]){gram}, .rhs = (double[]){rhs}, .bad_row = -1};
  const esp_spd_problem problem = make_problem(&s, 0);
  double x;
  ASSERT_ALL(esp_solve_spd(&test_comm, &problem, &x) == ESP_NUMERIC);
  ASSERT_ALL(strstr(esp_failure_text(), "solutions") != NULL);
}

static void solve_spd_beyond_int_is_usage(void **state) {
  (void)state;
  const esp_spd_problem problem = {.n = 400000, .n_rhs = 1, .gram = get_gram, .rhs = get_rhs};
  double x;
  ASSERT_ALL(esp_solve_spd(&test_comm, &problem, &x) == ESP_USAGE);
  ASSERT_ALL(strstr(esp_failure_text(), "use more ranks") != NULL);
}

static void solve_spd_again_after_a_failure_works(void **state) {
  (void)state;
  const esp_status status = solve_with(5, -1, false);
  for (int i = 0; i < 40; i++) ASSERT_ALL(is_solved(9, 2, 1)); // grids are given back
  ASSERT_ALL(status == ESP_NUMERIC);
}

static void a_system_that_every_rank_factors_has_the_bits_of_one_rank(void **state) {
  (void)state;
  sample s = make_sample(90, 77);
  esp_comm alone;
  esp_comm_init_local(&alone);
  const esp_spd_problem problem = make_problem(&s, 0.01);
  double *x = ESP_NEW(double, 90 * 77), *serial = ESP_NEW(double, 90 * 77);
  const esp_status status = esp_solve_spd(&test_comm, &problem, x);
  const esp_status serial_status = esp_solve_spd(&alone, &problem, serial);
  const bool same = memcmp(x, serial, 90 * 77 * sizeof *x) == 0;
  esp_comm_clear(&alone);
  esp_free(&x);
  esp_free(&serial);
  free_sample(&s);
  ASSERT_ALL(status == ESP_OK && serial_status == ESP_OK && same);
}

#define BOTH(test) \
  cmocka_unit_test_setup(test, use_grid), cmocka_unit_test_setup(test, use_every_rank)

ESP_TEST_MAIN(BOTH(solve_spd_equals_a_naive_cholesky),
              BOTH(solve_spd_takes_many_blocks_and_right_hand_sides),
              BOTH(solve_spd_takes_fewer_rows_than_ranks), BOTH(solve_spd_of_one_unknown_divides),
              BOTH(solve_spd_of_nothing_writes_nothing), BOTH(solve_spd_agrees_with_one_rank),
              BOTH(solve_spd_is_equal_on_all_ranks),
              BOTH(solve_spd_names_the_minor_that_is_not_positive),
              BOTH(solve_spd_of_nan_on_one_rank_is_numeric_on_all),
              BOTH(solve_spd_names_a_right_hand_side_that_is_not_finite),
              BOTH(solve_spd_that_overflows_is_numeric), BOTH(solve_spd_beyond_int_is_usage),
              BOTH(solve_spd_again_after_a_failure_works),
              cmocka_unit_test_setup(a_system_that_every_rank_factors_has_the_bits_of_one_rank,
                                     use_every_rank))
