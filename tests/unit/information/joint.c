/* Joint counts: every kernel against the naive scatter histogram. */
#include "espalier/information/joint.h"

#include "unit.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Random codes (units, samples) and their planes; stride is wider than n_words. Unit 1 is constant,
 * unit 2 is constant at the top, unit 3 is tied on two codes. */
typedef struct sample_set {
  uint8_t *codes;
  esp_planes planes;
  int64_t samples;
} sample_set;

static uint8_t draw_code(uint64_t stream, int64_t unit, int64_t i, int bins) {
  const uint64_t code = esp_rng_below(3, stream, (uint64_t)i, (uint64_t)bins);
  if (unit == 1) return 0;
  if (unit == 2) return (uint8_t)(bins - 1);
  return unit == 3 ? (uint8_t)(code ? bins - 1 : 0) : (uint8_t)code;
}

static void set_up(sample_set *self, uint64_t stream, int64_t units, int bins, int64_t samples) {
  const int64_t n_words = (samples + 63) / 64;
  esp_planes_init(&self->planes, units, bins, n_words + 3);
  self->planes.n_words = n_words;
  self->codes = ESP_NEW(uint8_t, units * samples);
  self->samples = samples;
  memset(self->planes.words, 0xff, // what lies between the planes must not count
         (size_t)(units * (bins - 1) * self->planes.stride) * sizeof *self->planes.words);
  for (int64_t row = 0; row < units * (bins - 1); row++)
    memset(self->planes.words + row * self->planes.stride, 0, (size_t)n_words * sizeof(uint64_t));
  for (int64_t i = 0; i < units * samples; i++) {
    const int64_t unit = i / samples, s = i % samples;
    self->codes[i] = draw_code(stream, unit, i, bins);
    for (int a = 0; a < self->codes[i]; a++)
      self->planes.words[(unit * (bins - 1) + a) * self->planes.stride + s / 64] |= UINT64_C(1)
                                                                                    << s % 64;
  }
}

static void tear_down(sample_set *self) {
  esp_planes_clear(&self->planes);
  esp_free(&self->codes);
}

/* Fail unless a tile's counts equal those of the naive histogram with the larger number of bins. */
static void assert_naive(const sample_set *x, const sample_set *y, const esp_tile *tile,
                         const int32_t *counts) {
  int32_t naive[ESP_MAX_BINS * ESP_MAX_BINS];
  const int nx_planes = x->planes.bins - 1, ny_planes = y->planes.bins - 1;
  const int bins = nx_planes > ny_planes ? nx_planes + 1 : ny_planes + 1;
  for (int64_t i = 0; i < tile->nx; i++)
    for (int64_t j = 0; j < tile->ny; j++) {
      esp_count_joint_naive(x->codes + (tile->x_begin + i) * x->samples,
                            y->codes + (tile->y_begin + j) * y->samples, x->samples, bins, naive);
      for (int a = 0; a < nx_planes; a++)
        for (int b = 0; b < ny_planes; b++) assert_int_equal(*counts++, naive[a * (bins - 1) + b]);
    }
}

/* A shape, and the part of it that is counted. */
typedef struct shape {
  int64_t x_units, y_units, samples, x_begin, y_begin;
  int x_bins, y_bins;
} shape;

static void check_shape(const esp_joint_kernel *kernel, const shape *dims) {
  sample_set x, y;
  set_up(&x, 1, dims->x_units, dims->x_bins, dims->samples);
  set_up(&y, 2, dims->y_units, dims->y_bins, dims->samples);
  const esp_tile tile = {&x.planes,     &y.planes,
                         dims->x_begin, dims->x_units - dims->x_begin,
                         dims->y_begin, dims->y_units - dims->y_begin};
  int32_t *counts = ESP_NEW(int32_t, esp_tile_count_cells(&tile));
  memset(counts, 0xff, (size_t)esp_tile_count_cells(&tile) * sizeof *counts);
  kernel->count(&tile, counts);
  assert_naive(&x, &y, &tile, counts);
  esp_free(&counts);
  tear_down(&x);
  tear_down(&y);
}

static const shape shapes[] = {
    {1, 1, 1, 0, 0, 2, 2},      {5, 7, 63, 0, 0, 4, 4},    {4, 5, 64, 0, 0, 3, 2},
    {7, 4, 187, 1, 2, 2, 5},    {5, 6, 1080, 0, 1, 4, 4},  {6, 5, 65 * 64 - 7, 2, 0, 16, 3},
    {4, 4, 8009, 0, 0, 8, 16},  {1, 9, 33000, 0, 3, 4, 4}, {3, 50, 124 * 64, 0, 0, 4, 5},
    {60, 51, 7950, 0, 0, 4, 4},
};

/* Kernel by its row in the table: fastest first. */
static void check_kernel(int row) {
  const esp_joint_kernel *kernel = esp_joint_kernels[row];
  if (!kernel->is_supported()) skip();
  for (size_t i = 0; i < ESP_COUNT(shapes); i++) check_shape(kernel, &shapes[i]);
}

static void avx512_kernel_equals_naive(void **state) {
  (void)state;
  check_kernel(0);
}

static void avx2_kernel_equals_naive(void **state) {
  (void)state;
  check_kernel(1);
}

static void portable_kernel_equals_naive(void **state) {
  (void)state;
  check_kernel(2);
}

static void kernel_table_ends_after_a_kernel_for_every_machine(void **state) {
  (void)state;
  assert_string_equal(esp_joint_kernels[2]->name, "portable");
  assert_true(esp_joint_kernels[2]->is_supported());
  assert_null(esp_joint_kernels[3]->name);
}

static void count_joint_naive_of_worked_example(void **state) {
  (void)state;
  const uint8_t x[] = {0, 1, 2, 2, 1}, y[] = {0, 2, 2, 1, 0};
  int32_t counts[4];
  esp_count_joint_naive(x, y, 5, 3, counts);
  assert_memory_equal(counts, ((const int32_t[]){3, 2, 2, 1}), sizeof counts);
}

static void count_joint_equals_naive_at_any_thread_count(void **state) {
  (void)state;
  sample_set set;
  set_up(&set, 5, 11, 4, 700);
  const esp_tile tile = {&set.planes, &set.planes, 1, 9, 2, 8};
  int32_t counts[9 * 8 * 9];
  const int threads = omp_get_max_threads();
  for (int n = 1; n <= 16; n++) {
    omp_set_num_threads(n);
    memset(counts, 0xff, sizeof counts);
    esp_count_joint(&tile, counts);
    assert_naive(&set, &set, &tile, counts);
  }
  omp_set_num_threads(threads);
  tear_down(&set);
}

static void count_joint_of_many_units_cuts_them_into_parts(void **state) {
  (void)state;
  sample_set x, y;
  set_up(&x, 6, 150, 2, 70);
  set_up(&y, 7, 2, 4, 70);
  const esp_tile tile = {&x.planes, &y.planes, 0, 150, 0, 2};
  int32_t counts[150 * 2 * 3];
  esp_count_joint(&tile, counts);
  assert_naive(&x, &y, &tile, counts);
  tear_down(&x);
  tear_down(&y);
}

static void count_joint_of_no_units_writes_nothing(void **state) {
  (void)state;
  sample_set set;
  set_up(&set, 8, 4, 4, 70);
  const esp_tile no_x = {&set.planes, &set.planes, 4, 0, 0, 4},
                 no_y = {&set.planes, &set.planes, 0, 4, 2, 0};
  int32_t count = 77;
  esp_count_joint(&no_x, &count);
  esp_count_joint(&no_y, &count);
  assert_int_equal(count, 77);
  tear_down(&set);
}

static void count_joint_without_samples_is_zero(void **state) {
  (void)state;
  sample_set set;
  set_up(&set, 9, 2, 2, 0);
  const esp_tile tile = {&set.planes, &set.planes, 0, 2, 0, 2};
  int32_t counts[] = {1, 2, 3, 4};
  esp_count_joint(&tile, counts);
  for (int i = 0; i < 4; i++) assert_int_equal(counts[i], 0);
  tear_down(&set);
}

static void count_marginals_equals_diagonal_of_joint(void **state) {
  (void)state;
  sample_set set;
  set_up(&set, 10, 6, 4, 1000);
  int64_t marginals[6 * 3];
  int32_t naive[9];
  esp_count_marginals(&set.planes, marginals);
  for (int u = 0; u < 6; u++) {
    esp_count_joint_naive(set.codes + u * 1000, set.codes + u * 1000, 1000, 4, naive);
    for (int a = 0; a < 3; a++) assert_int_equal(marginals[3 * u + a], naive[3 * a + a]);
  }
  tear_down(&set);
}

static void kernel_best_is_first_supported(void **state) {
  (void)state;
  unsetenv("ESPALIER_KERNEL");
  const esp_joint_kernel *best = esp_joint_kernel_best();
  int row = 0;
  while (!esp_joint_kernels[row]->is_supported()) row++;
  assert_ptr_equal(best, esp_joint_kernels[row]);
}

static void kernel_best_follows_the_environment(void **state) {
  (void)state;
  setenv("ESPALIER_KERNEL", "portable", 1);
  assert_string_equal(esp_joint_kernel_best()->name, "portable");
  unsetenv("ESPALIER_KERNEL");
}

static void kernel_best_ignores_an_unknown_name(void **state) {
  (void)state;
  const esp_joint_kernel *best = esp_joint_kernel_best();
  setenv("ESPALIER_KERNEL", "abacus", 1);
  assert_ptr_equal(esp_joint_kernel_best(), best);
  unsetenv("ESPALIER_KERNEL");
}

ESP_TEST_MAIN(cmocka_unit_test(avx512_kernel_equals_naive),
              cmocka_unit_test(avx2_kernel_equals_naive),
              cmocka_unit_test(portable_kernel_equals_naive),
              cmocka_unit_test(kernel_table_ends_after_a_kernel_for_every_machine),
              cmocka_unit_test(count_joint_naive_of_worked_example),
              cmocka_unit_test(count_joint_equals_naive_at_any_thread_count),
              cmocka_unit_test(count_joint_of_many_units_cuts_them_into_parts),
              cmocka_unit_test(count_joint_of_no_units_writes_nothing),
              cmocka_unit_test(count_joint_without_samples_is_zero),
              cmocka_unit_test(count_marginals_equals_diagonal_of_joint),
              cmocka_unit_test(kernel_best_is_first_supported),
              cmocka_unit_test(kernel_best_follows_the_environment),
              cmocka_unit_test(kernel_best_ignores_an_unknown_name))
