#include "espalier/linalg/gemm.h"

#include "unit.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

static const char *const kernels[] = {"avx512", "avx2", "blas"};

/* A product of random matrices with padded strides; c_size floats of C, from which it starts. */
typedef struct sample {
  esp_gemm product;
  float *a, *b, *c;
  int64_t c_size;
} sample;

static float *make_random(int64_t count, uint64_t stream) {
  float *values = ESP_NEW(float, count);
  for (int64_t i = 0; i < count; i++) values[i] = (float)esp_rng_normal(7, stream, (uint64_t)i);
  return values;
}

static sample make_sample(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k) {
  sample s = {.c_size = m * (n + 3)};
  const int64_t lda = (transpose_a ? m : k) + 1, ldb = (transpose_b ? k : n) + 2;
  s.a = make_random((transpose_a ? k : m) * lda, 0);
  s.b = make_random((transpose_b ? n : k) * ldb, 1);
  s.c = make_random(s.c_size, 2);
  s.product = (esp_gemm){transpose_a, transpose_b, false, m,   n,   k,     1,    0,
                         s.a,         lda,         s.b,   ldb, s.c, n + 3, NULL, NULL};
  return s;
}

static void free_sample(sample *s) {
  esp_free(&s->a);
  esp_free(&s->b);
  esp_free(&s->c);
}

static double multiply(const esp_gemm *p, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t l = 0; l < p->k; l++)
    sum += (double)p->a[p->transpose_a ? l * p->lda + i : i * p->lda + l] *
           (double)p->b[p->transpose_b ? j * p->ldb + l : l * p->ldb + j];
  return sum;
}

/* Largest difference of C from the naive product and the C before. */
static double find_error(const esp_gemm *p, const float *before) {
  double worst = 0;
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      const double old = p->beta != 0 ? (double)p->beta * (double)before[i * p->ldc + j] : 0;
      const double expected = (double)p->alpha * multiply(p, i, j) + old;
      worst = fmax(worst, fabs((double)p->c[i * p->ldc + j] - expected));
    }
  return worst;
}

static bool is_padding_kept(const esp_gemm *p, const float *before) {
  bool kept = true;
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = p->n; j < p->ldc; j++)
      kept = kept && p->c[i * p->ldc + j] == before[i * p->ldc + j];
  return kept;
}

/* False: this machine does not support it. */
static bool use_kernel(const char *name) {
  setenv("ESPALIER_GEMM", name, 1);
  const bool used = strcmp(esp_gemm_kernel_name(), name) == 0;
  if (!used) unsetenv("ESPALIER_GEMM");
  return used;
}

/* By every kernel of this machine. */
static void check(sample s, float alpha, float beta) {
  float *before = make_random(s.c_size, 2);
  s.product.alpha = alpha;
  s.product.beta = beta;
  double error = 0;
  bool kept = true;
  for (size_t i = 0; i < ESP_COUNT(kernels); i++) {
    if (!use_kernel(kernels[i])) continue;
    memcpy(s.c, before, (size_t)s.c_size * sizeof *before);
    esp_gemm_compute(&s.product);
    error = fmax(error, find_error(&s.product, before));
    kept = kept && is_padding_kept(&s.product, before);
  }
  unsetenv("ESPALIER_GEMM");
  const double tolerance = 1e-5 * sqrt((double)s.product.k + 1);
  esp_free(&before);
  free_sample(&s);
  assert_true(error < tolerance);
  assert_true(kept);
}

static void compute_equals_naive_loops_at_odd_sizes(void **state) {
  (void)state;
  const int64_t sizes[][3] = {{1, 1, 1}, {1, 517, 33}, {129, 1, 65}, {257, 259, 31}, {130, 300, 1}};
  for (size_t i = 0; i < ESP_COUNT(sizes); i++)
    check(make_sample(false, false, sizes[i][0], sizes[i][1], sizes[i][2]), 1, 0);
}

static void compute_equals_naive_loops_with_every_transpose(void **state) {
  (void)state;
  check(make_sample(true, false, 131, 270, 37), 1, 0);
  check(make_sample(false, true, 131, 270, 37), 1, 0);
  check(make_sample(true, true, 131, 270, 37), 1, 0);
}

static void compute_equals_naive_loops_with_large_tiles(void **state) {
  (void)state;
  check(make_sample(true, true, 1030, 1030, 3), 1, 0);
}

static void compute_applies_alpha_and_beta(void **state) {
  (void)state;
  check(make_sample(false, true, 140, 261, 19), -0.5F, 2);
  check(make_sample(true, false, 140, 261, 19), 0, 1);
}

static void compute_with_beta_zero_does_not_read_c(void **state) {
  (void)state;
  sample s = make_sample(false, false, 150, 300, 20);
  for (int64_t i = 0; i < s.c_size; i++) s.c[i] = NAN;
  esp_gemm_compute(&s.product);
  const double error = find_error(&s.product, s.c);
  const bool finite = isfinite(s.c[0]) && isfinite(s.c[149 * s.product.ldc + 299]);
  free_sample(&s);
  assert_true(finite);
  assert_true(error < 1e-4);
}

static void compute_of_no_inner_size_scales_c(void **state) {
  (void)state;
  check(make_sample(false, false, 5, 300, 0), 1, 3);
  check(make_sample(true, true, 5, 300, 0), 1, 0);
}

static void compute_of_no_rows_or_columns_touches_nothing(void **state) {
  (void)state;
  float c[] = {1, 2};
  const float a[] = {3, 4};
  esp_gemm_compute(
      &(esp_gemm){.m = 0, .n = 2, .k = 2, .alpha = 1, .a = a, .b = a, .c = c, .ldc = 2});
  esp_gemm_compute(&(esp_gemm){.m = 2, .n = 0, .k = 2, .alpha = 1, .a = a, .b = a, .c = c});
  assert_true(c[0] == 1 && c[1] == 2);
}

/* Whether rows [row, m) and columns [col, n) have the bits that they have in the whole product. */
static bool is_same_alone(const sample *s, int64_t row, int64_t col, bool upper) {
  const esp_gemm *whole = &s->product;
  esp_gemm part = *whole;
  float *c = make_random(s->c_size, 3);
  esp_gemm_compute(whole);
  part.a += part.transpose_a ? row : row * part.lda;
  part.b += part.transpose_b ? col * part.ldb : col;
  part.m -= row;
  part.n -= col;
  part.c = c;
  part.upper = upper;
  esp_gemm_compute(&part);
  bool same = true;
  for (int64_t i = 0; i < part.m; i++) {
    const int64_t first = upper && i < part.n ? i : 0;
    const float *expected = whole->c + (row + i) * whole->ldc + col + first;
    same = same &&
           memcmp(c + i * part.ldc + first, expected, (size_t)(part.n - first) * sizeof *c) == 0;
  }
  esp_free(&c);
  return same;
}

static void a_part_of_c_has_the_bits_of_the_whole(void **state) {
  (void)state;
  for (int transposes = 0; transposes < 4; transposes++) {
    sample s = make_sample(transposes & 1, transposes & 2, 59, 77, 801);
    bool same = true;
    for (int64_t first = 0; first < 40; first += 13)
      same = same && is_same_alone(&s, first, 2 * first - first / 3, false);
    free_sample(&s);
    if (strcmp(esp_gemm_kernel_name(), "blas") != 0) assert_true(same);
  }
}

static void what_is_wanted_of_an_upper_product_has_the_same_bits(void **state) {
  (void)state;
  sample s = make_sample(true, false, 300, 300, 70);
  const bool same = is_same_alone(&s, 0, 0, true) && is_same_alone(&s, 40, 40, true);
  free_sample(&s);
  if (strcmp(esp_gemm_kernel_name(), "blas") != 0) assert_true(same);
}

static void kernels_have_the_same_bits(void **state) {
  (void)state;
  const int64_t depths[] = {1, 768, 769, 1600};
  bool same = true;
  for (size_t d = 0; d < ESP_COUNT(depths); d++) {
    sample first = make_sample(false, true, 61, 83, depths[d]),
           next = make_sample(false, true, 61, 83, depths[d]);
    first.product.alpha = next.product.alpha = 0.3F;
    first.product.beta = next.product.beta = 0.7F;
    if (use_kernel(kernels[0])) esp_gemm_compute(&first.product);
    if (use_kernel(kernels[0]) && use_kernel(kernels[1])) {
      esp_gemm_compute(&next.product);
      same = same && memcmp(first.c, next.c, (size_t)first.c_size * sizeof *first.c) == 0;
    }
    unsetenv("ESPALIER_GEMM");
    free_sample(&first);
    free_sample(&next);
  }
  assert_true(same);
}

static void an_unknown_kernel_leaves_the_best(void **state) {
  (void)state;
  const char *best = esp_gemm_kernel_name();
  setenv("ESPALIER_GEMM", "abacus", 1);
  const char *used = esp_gemm_kernel_name();
  unsetenv("ESPALIER_GEMM");
  assert_string_equal(used, best);
}

static bool is_same_at_threads(const sample *s, int threads) {
  float *alone = ESP_NEW(float, s->c_size);
  omp_set_num_threads(1);
  esp_gemm_compute(&s->product);
  memcpy(alone, s->c, (size_t)s->c_size * sizeof *alone);
  omp_set_num_threads(threads);
  for (int64_t i = 0; i < s->c_size; i++) s->c[i] = 0;
  esp_gemm_compute(&s->product);
  omp_set_num_threads(1);
  bool same = true;
  for (int64_t i = 0; i < s->product.m; i++)
    same = same && memcmp(s->c + i * s->product.ldc, alone + i * s->product.ldc,
                          (size_t)s->product.n * sizeof *alone) == 0;
  esp_free(&alone);
  return same;
}

static void compute_has_the_same_bits_at_any_thread_count(void **state) {
  (void)state;
  esp_blas_use_one_thread();
  sample s = make_sample(false, true, 193, 1111, 333);
  const bool two = is_same_at_threads(&s, 2), three = is_same_at_threads(&s, 3);
  free_sample(&s);
  assert_true(two);
  assert_true(three);
}

ESP_TEST_MAIN(cmocka_unit_test(compute_equals_naive_loops_at_odd_sizes),
              cmocka_unit_test(compute_equals_naive_loops_with_every_transpose),
              cmocka_unit_test(compute_equals_naive_loops_with_large_tiles),
              cmocka_unit_test(compute_applies_alpha_and_beta),
              cmocka_unit_test(compute_with_beta_zero_does_not_read_c),
              cmocka_unit_test(compute_of_no_inner_size_scales_c),
              cmocka_unit_test(compute_of_no_rows_or_columns_touches_nothing),
              cmocka_unit_test(a_part_of_c_has_the_bits_of_the_whole),
              cmocka_unit_test(what_is_wanted_of_an_upper_product_has_the_same_bits),
              cmocka_unit_test(kernels_have_the_same_bits),
              cmocka_unit_test(an_unknown_kernel_leaves_the_best),
              cmocka_unit_test(compute_has_the_same_bits_at_any_thread_count))
