/* Edges, bit-planes and noise units. */
#include "espalier/information/planes.h"

#include "unit.h"

#include <math.h>
#include <string.h>

/* Count the samples of x (n, 1) in each bin of its own edges. */
static void count_bins(const float *x, int64_t n, int bins, int64_t *counts) {
  float edges[ESP_MAX_BINS];
  esp_compute_edges(x, n, 1, 1, bins, edges);
  memset(counts, 0, (size_t)bins * sizeof *counts);
  for (int64_t s = 0; s < n; s++) {
    int code = 0;
    for (int a = 0; a < bins - 1; a++) code += x[s] > edges[a];
    counts[code]++;
  }
}

static void assert_bins(const float *x, int64_t n, int bins, const int64_t *expected) {
  int64_t counts[ESP_MAX_BINS];
  count_bins(x, n, bins, counts);
  for (int b = 0; b < bins; b++) assert_int_equal(counts[b], expected[b]);
}

static void fill_normal(uint64_t stream, int64_t n, float *x) {
  for (int64_t i = 0; i < n; i++) x[i] = (float)esp_rng_normal(7, stream, (uint64_t)i);
}

static void compute_edges_shares_distinct_values_equally(void **state) {
  (void)state;
  float x[400];
  fill_normal(1, 400, x);
  assert_bins(x, 400, 4, (const int64_t[]){100, 100, 100, 100});
  assert_bins(x, 400, 16,
              (const int64_t[]){25, 25, 25, 25, 25, 25, 25, 25, //
                                25, 25, 25, 25, 25, 25, 25, 25});
}

static void compute_edges_gives_zeros_one_bin_and_shares_the_rest(void **state) {
  (void)state;
  const float x[] = {0, 5, 0, 3, 0, 1, 0, 2, 0, 4, 0, 6};
  assert_bins(x, 12, 4, (const int64_t[]){6, 2, 2, 2});
}

static void compute_edges_stops_before_ties_that_reach_the_top(void **state) {
  (void)state;
  const float x[] = {1, 0, 1, 1, 0, 1, 1, 0, 1, 1};
  assert_bins(x, 10, 2, (const int64_t[]){3, 7});
  assert_bins(x, 10, 4, (const int64_t[]){3, 7, 0, 0});
}

static void compute_edges_of_constant_are_infinite(void **state) {
  (void)state;
  const float x[] = {2, 2, 2, 2, 2};
  float edges[3];
  esp_compute_edges(x, 5, 1, 1, 4, edges);
  for (int a = 0; a < 3; a++) assert_true(isinf(edges[a]) && edges[a] > 0);
}

static void compute_edges_without_samples_are_infinite(void **state) {
  (void)state;
  float edges[1] = {0};
  esp_compute_edges(NULL, 0, 1, 1, 2, edges);
  assert_true(isinf(edges[0]));
}

static void compute_edges_with_fewer_samples_than_bins(void **state) {
  (void)state;
  const float x[] = {3, -1};
  float edges[3];
  esp_compute_edges(x, 2, 1, 1, 4, edges);
  assert_true(edges[0] == -1.0F && isinf(edges[1]) && isinf(edges[2]));
}

static void compute_edges_orders_negative_values(void **state) {
  (void)state;
  const float x[] = {-1e-3F, -5, 2, -100, 0.5F, 7, -0.0F, 1e30F};
  float edges[3];
  esp_compute_edges(x, 8, 1, 1, 4, edges);
  assert_true(edges[0] == -5 && edges[1] == 0 && edges[2] == 2);
  assert_false(signbit(edges[1]));
}

static void compute_edges_reads_each_column_by_its_stride(void **state) {
  (void)state;
  enum { N = 50, U = 37, LDX = 41 };
  float x[N * LDX], column[N], edges[U * 3], expected[3];
  fill_normal(2, N * LDX, x);
  esp_compute_edges(x, N, U, LDX, 4, edges);
  for (int u = 0; u < U; u++) {
    for (int s = 0; s < N; s++) column[s] = x[s * LDX + u];
    esp_compute_edges(column, N, 1, 1, 4, expected);
    assert_memory_equal(edges + 3 * u, expected, sizeof expected);
  }
}

static void encode_planes_of_worked_example(void **state) {
  (void)state;
  const float x[] = {0, 1, 2, 3}, edges[] = {0, 1, INFINITY}; // 4 samples of one unit
  esp_planes planes;
  esp_planes_init(&planes, 1, 4, 1);
  esp_encode_planes(x, 4, 1, edges, 0, &planes);
  assert_int_equal(planes.words[0], 0xe);
  assert_int_equal(planes.words[1], 0xc);
  assert_int_equal(planes.words[2], 0);
  esp_planes_clear(&planes);
}

static void encode_planes_sets_each_bit_iff_above_its_edge(void **state) {
  (void)state;
  enum { N = 150, U = 21, LDX = 23, B = 5, W = 3 };
  float x[N * LDX], edges[U * (B - 1)];
  fill_normal(3, N * LDX, x);
  esp_compute_edges(x, N, U, LDX, B, edges);
  esp_planes planes;
  esp_planes_init(&planes, U, B, W);
  esp_encode_planes(x, N, LDX, edges, 0, &planes);
  for (int row = 0; row < U * (B - 1); row++)
    for (int s = 0; s < W * 64; s++)
      assert_int_equal(planes.words[row * W + s / 64] >> s % 64 & 1,
                       s < N && x[s * LDX + row / (B - 1)] > edges[row]);
  esp_planes_clear(&planes);
}

static void encode_planes_by_parts_equals_whole(void **state) {
  (void)state;
  enum { N = 200, U = 5, W = 4 };
  float x[N * U], edges[U * 3];
  esp_planes whole, parts;
  fill_normal(4, N * U, x);
  esp_compute_edges(x, N, U, U, 4, edges);
  esp_planes_init(&whole, U, 4, W);
  esp_planes_init(&parts, U, 4, W);
  memset(parts.words, 0xff, U * 3 * W * sizeof *parts.words);
  esp_encode_planes(x, N, U, edges, 0, &whole);
  esp_encode_planes(x + 128 * U, N - 128, U, edges, 2, &parts);
  esp_encode_planes(x, 128, U, edges, 0, &parts);
  assert_memory_equal(whole.words, parts.words, U * 3 * W * sizeof *whole.words);
  esp_planes_clear(&whole);
  esp_planes_clear(&parts);
}

static void encode_planes_leaves_other_words_alone(void **state) {
  (void)state;
  const float x[] = {1}, edges[] = {0};
  esp_planes planes;
  esp_planes_init(&planes, 1, 2, 3);
  memset(planes.words, 0xff, 3 * sizeof *planes.words);
  esp_encode_planes(x, 1, 1, edges, 1, &planes);
  assert_true(planes.words[0] == UINT64_MAX && planes.words[1] == 1 &&
              planes.words[2] == UINT64_MAX);
  esp_planes_clear(&planes);
}

static void fill_noise_does_not_depend_on_sharding(void **state) {
  (void)state;
  enum { W = 9, FIRST = 4 };
  uint8_t n_valid[W] = {64, 64, 30, 64, 64, 64, 1, 64, 64};
  esp_planes whole, shard;
  esp_planes_init(&whole, 1, 4, W);
  esp_planes_init(&shard, 2, 4, W - FIRST);
  esp_fill_noise(11, 3, 0, n_valid, 0, &whole);
  esp_fill_noise(11, 3, FIRST, n_valid + FIRST, 1, &shard);
  for (int a = 0; a < 3; a++)
    assert_memory_equal(whole.words + a * W + FIRST, shard.words + (3 + a) * (W - FIRST),
                        (W - FIRST) * sizeof *whole.words);
  esp_planes_clear(&whole);
  esp_planes_clear(&shard);
}

static void fill_noise_leaves_missing_samples_zero(void **state) {
  (void)state;
  const uint8_t n_valid[] = {0, 5, 64};
  esp_planes planes;
  esp_planes_init(&planes, 1, 16, 3);
  esp_fill_noise(1, 1, 0, n_valid, 0, &planes);
  for (int a = 0; a < 15; a++) {
    assert_int_equal(planes.words[a * 3], 0);
    assert_int_equal(planes.words[a * 3 + 1] >> 5, 0);
  }
  assert_int_not_equal(planes.words[2], 0);
  esp_planes_clear(&planes);
}

static void fill_noise_bins_are_equally_likely(void **state) {
  (void)state;
  enum { W = 400, S = W * 64 };
  uint8_t n_valid[W];
  memset(n_valid, 64, sizeof n_valid);
  esp_planes planes;
  esp_planes_init(&planes, 1, 4, W);
  esp_fill_noise(5, 9, 0, n_valid, 0, &planes);
  for (int a = 0; a < 3; a++) {
    double above = 0;
    for (int s = 0; s < S; s++) above += (double)(planes.words[a * W + s / 64] >> s % 64 & 1);
    assert_true(fabs(above / S - (3 - a) / 4.0) < 0.016); // 5 standard deviations
  }
  esp_planes_clear(&planes);
}

ESP_TEST_MAIN(cmocka_unit_test(compute_edges_shares_distinct_values_equally),
              cmocka_unit_test(compute_edges_gives_zeros_one_bin_and_shares_the_rest),
              cmocka_unit_test(compute_edges_stops_before_ties_that_reach_the_top),
              cmocka_unit_test(compute_edges_of_constant_are_infinite),
              cmocka_unit_test(compute_edges_without_samples_are_infinite),
              cmocka_unit_test(compute_edges_with_fewer_samples_than_bins),
              cmocka_unit_test(compute_edges_orders_negative_values),
              cmocka_unit_test(compute_edges_reads_each_column_by_its_stride),
              cmocka_unit_test(encode_planes_of_worked_example),
              cmocka_unit_test(encode_planes_sets_each_bit_iff_above_its_edge),
              cmocka_unit_test(encode_planes_by_parts_equals_whole),
              cmocka_unit_test(encode_planes_leaves_other_words_alone),
              cmocka_unit_test(fill_noise_does_not_depend_on_sharding),
              cmocka_unit_test(fill_noise_leaves_missing_samples_zero),
              cmocka_unit_test(fill_noise_bins_are_equally_likely))
