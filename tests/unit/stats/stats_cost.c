#include "unit.h"

#include "cost.h"

#include "espalier/stats/cost.h"

/* Three micro-batches of at most 8 rows over two ranks, 4 bins: a word a plane and micro-batch. */
typedef struct bench {
  esp_shard_shape samples;
  esp_stats_shape whole, even, odd;
} bench;

static bench make_bench(bool has_halves) {
  bench self = {.samples = cost_samples_new(2, 3, 8, 1)};
  self.samples.valid[2] = 6;
  self.samples.rows = 22;
  esp_stats_shape_init(&self.whole, &self.samples, 4, has_halves);
  esp_stats_shape_init_half(&self.even, &self.samples, &self.whole, ESP_EVEN);
  esp_stats_shape_init_half(&self.odd, &self.samples, &self.whole, ESP_ODD);
  return self;
}

static void clear_bench(bench *self) {
  esp_stats_shape_clear(&self->whole);
  esp_stats_shape_clear(&self->even);
  esp_stats_shape_clear(&self->odd);
  esp_shard_shape_clear(&self->samples);
}

static void esp_stats_shape_counts_words_by_rank(void **state) {
  (void)state;
  bench self = make_bench(true);
  assert_true(self.whole.words == 1 && self.whole.n_batches == 3 && self.whole.rows == 22);
  assert_true(self.whole.rank_words[0] == 2 && self.whole.rank_words[1] == 1);
  assert_true(self.even.n_batches == 2 && self.even.rows == 14);
  assert_true(self.even.rank_words[0] == 1 && self.even.rank_words[1] == 1);
  assert_true(self.odd.n_batches == 1 && self.odd.rows == 8);
  assert_true(self.odd.rank_words[0] == 1 && self.odd.rank_words[1] == 0);
  clear_bench(&self);
}

static void esp_stats_add_load_cost_of_planes(void **state) {
  (void)state;
  bench self = make_bench(true);
  esp_cost cost = {0};
  esp_stats_add_load_cost(&self.whole, 5.0, ESP_LOAD_PLANES, &cost);
  assert_true(esp_stats_plane_bytes(&self.whole, 5.0) == 5.0 * 3.0 * 2.0 * 8.0);
  assert_true(cost.kept_bytes == 240.0 && cost.peak_bytes == 480.0);
  assert_true(cost.traffic[ESP_BCAST] == 4.0 * 15.0 + 4.0 * 8.0 * 5.0);
  clear_bench(&self);
}

/* Its moments are what the even half leaves of the whole. */
static void esp_stats_add_load_cost_of_the_odd_half(void **state) {
  (void)state;
  bench self = make_bench(true);
  esp_cost cost = {0};
  esp_stats_add_load_cost(&self.odd, 5.0, ESP_LOAD_PLANES | ESP_LOAD_COVARIANCE, &cost);
  assert_true(cost.kept_bytes == 120.0 + 100.0);
  assert_true(cost.peak_bytes == 120.0 + 240.0);
  assert_true(cost.traffic[ESP_BCAST] == 60.0 + 2.0 * (160.0 + 100.0));
  clear_bench(&self);
}

static void esp_stats_add_matrix_cost_is_the_odd_halfs(void **state) {
  (void)state;
  bench self = make_bench(true);
  esp_cost whole = {0}, odd = {0};
  esp_stats_add_matrix_cost(&self.whole, 5.0, &whole);
  esp_stats_add_matrix_cost(&self.odd, 5.0, &odd);
  assert_true(whole.peak_bytes == 0.0 && whole.traffic[ESP_BCAST] == 0.0);
  assert_true(odd.peak_bytes == 100.0 && odd.traffic[ESP_BCAST] == 320.0);
  clear_bench(&self);
}

static void esp_stats_site_bytes_grow_by_what_is_stored(void **state) {
  (void)state;
  bench plain = make_bench(false), halves = make_bench(true);
  const double none = esp_stats_site_bytes(&plain.whole, 0.0, false);
  const double site = esp_stats_site_bytes(&plain.whole, 5.0, false);
  assert_true(site - none == 60.0 + 5.0 * 3.0 * 3.0 * 8.0 + 160.0);
  assert_true(esp_stats_site_bytes(&plain.whole, 5.0, true) - site == 100.0);
  const double more = esp_stats_site_bytes(&halves.whole, 5.0, true) -
                      esp_stats_site_bytes(&halves.whole, 0.0, true);
  assert_true(more == site - none + 100.0 + 160.0 + 100.0);
  clear_bench(&plain);
  clear_bench(&halves);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_stats_shape_counts_words_by_rank),
              cmocka_unit_test(esp_stats_add_load_cost_of_planes),
              cmocka_unit_test(esp_stats_add_load_cost_of_the_odd_half),
              cmocka_unit_test(esp_stats_add_matrix_cost_is_the_odd_halfs),
              cmocka_unit_test(esp_stats_site_bytes_grow_by_what_is_stored))
