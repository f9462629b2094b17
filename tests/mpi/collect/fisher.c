/* The Fisher information of each stage: its values by plain loops, and its bytes at any rank count.
 */
#include "collect_bench.h"

#include "espalier/core/rng.h"

#include <math.h>
#include <string.h>

enum { STREAM_LABELS = 0xf15, SEED = 11 };

static esp_collect_options options_of(int64_t rows) {
  return (esp_collect_options){.bins = BINS, .pilot = 40, .fisher_tokens = rows, .seed = SEED};
}

static void check_same_as_alone(int64_t micro_batch, int64_t rows) {
  const esp_collect_options options = options_of(rows);
  ASSERT_ALL(is_same_as_alone(micro_batch, &options));
}

static esp_status collect_rows(bench *self, int64_t rows, const char *path) {
  const esp_collect_options options = options_of(rows);
  return collect(self, &options, path);
}

static void fisher_has_the_same_bytes_at_any_rank_count(void **state) {
  (void)state;
  check_same_as_alone(16, SAMPLES);
  check_same_as_alone(7, 40);
}

static void fisher_takes_fewer_micro_batches_than_ranks(void **state) {
  (void)state;
  check_same_as_alone(16, 1);
  check_same_as_alone(SAMPLES, SAMPLES);
}

/* The gradient of log p(label) of the s-th calibration sample with respect to its logits. */
static void naive_gradient(const double *logits, int64_t s, double *g) {
  const double u = esp_rng_uniform(SEED, STREAM_LABELS, (uint64_t)s);
  double total = 0.0, sum = 0.0;
  bool is_drawn = false;
  for (int i = 0; i < OUTPUTS; i++) total += exp(logits[i]);
  for (int i = 0; i < OUTPUTS; i++) {
    sum += exp(logits[i]) / total;
    g[i] = (!is_drawn && sum > u) - exp(logits[i]) / total;
    is_drawn = is_drawn || sum > u;
  }
}

/* Through the last layer and tanh: dz (UNITS) from g. */
static void naive_back(const esp_model *model, const double *x, const double *g, double *dz) {
  const float *weights = model->weights[model->stages[1].consumer.weight].value;
  for (int u = 0; u < UNITS; u++) {
    dz[u] = 0.0;
    for (int i = 0; i < OUTPUTS; i++) dz[u] += (double)weights[i * UNITS + u] * g[i];
    dz[u] *= 1.0 - x[u] * x[u];
  }
}

static void add_outer(const double *g, int n, double *sums) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) sums[i * n + j] += g[i] * g[j] / SAMPLES;
}

typedef struct naive_fisher {
  double last[OUTPUTS * OUTPUTS], first[UNITS * UNITS];
} naive_fisher;

static naive_fisher compute_naively(const bench *self) {
  naive_fisher fisher = {0};
  double *logits = ESP_NEW(double, SAMPLES *OUTPUTS), *x = ESP_NEW(double, SAMPLES *UNITS);
  small_forward(self->model, self->data, 2, NULL, logits);
  small_forward(self->model, self->data, 1, NULL, x);
  for (int64_t s = 0; s < SAMPLES; s++) {
    double g[OUTPUTS], dz[UNITS];
    naive_gradient(logits + self->shard.order[s] * OUTPUTS, s, g);
    naive_back(self->model, x + self->shard.order[s] * UNITS, g, dz);
    add_outer(g, OUTPUTS, fisher.last);
    add_outer(dz, UNITS, fisher.first);
  }
  esp_free(&x);
  esp_free(&logits);
  return fisher;
}

static double find_difference(const double *expected, const float *found, int64_t n) {
  double worst = 0.0;
  for (int64_t i = 0; i < n * n; i++) worst = fmax(worst, fabs(expected[i] - (double)found[i]));
  return worst;
}

static void fisher_matches_plain_loops(void **state) {
  (void)state;
  float last[OUTPUTS * OUTPUTS], first[UNITS * UNITS];
  esp_stats *stats = NULL;
  bench self = open_bench(&test_comm, 16);
  const naive_fisher expected = compute_naively(&self);
  ASSERT_ALL(collect_rows(&self, SAMPLES, test_path("fisher.h5")) == ESP_OK);
  ASSERT_ALL(esp_stats_open(&test_comm, test_path("fisher.h5"), &stats) == ESP_OK);
  ASSERT_ALL(esp_stats_load_matrix(stats, "hidden.1", ESP_STATS_FISHER, OUTPUTS, -1, last) ==
             ESP_OK);
  ASSERT_ALL(esp_stats_load_matrix(stats, "hidden.0", ESP_STATS_FISHER, UNITS, -1, first) ==
             ESP_OK);
  ASSERT_ALL(find_difference(expected.last, last, OUTPUTS) < 1e-6);
  ASSERT_ALL(find_difference(expected.first, first, UNITS) < 1e-6);
  esp_stats_close(&stats);
  close_bench(&self);
}

/* The meta data say how many rows there were; 20 rows are two micro-batches of 16. */
static void fisher_counts_whole_micro_batches(void **state) {
  (void)state;
  const int64_t asked[3] = {0, 20, 1000}, used[3] = {0, 32, SAMPLES};
  for (int i = 0; i < 3; i++) {
    esp_stats *stats = NULL;
    bench self = open_bench(&test_comm, 16);
    ASSERT_ALL(collect_rows(&self, asked[i], test_path("fisher.h5")) == ESP_OK);
    ASSERT_ALL(esp_stats_open(&test_comm, test_path("fisher.h5"), &stats) == ESP_OK);
    ASSERT_ALL(json_integer_value(json_object_get(stats->meta, ESP_META_FISHER)) == used[i]);
    ASSERT_ALL(esp_h5_has(stats->file, "/hidden.0/fisher") == (used[i] > 0));
    esp_stats_close(&stats);
    close_bench(&self);
  }
}

static void fisher_names_bad_weights_of_one_rank(void **state) {
  (void)state;
  bench self = open_bench(&test_comm, 16);
  if (test_comm.rank == test_comm.size - 1) self.model->weights[2].value[1] = NAN;
  const esp_status status = collect_rows(&self, SAMPLES, test_path("fisher_bad.h5"));
  ASSERT_ALL(status == ESP_NUMERIC);
  close_bench(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(fisher_has_the_same_bytes_at_any_rank_count),
              cmocka_unit_test(fisher_takes_fewer_micro_batches_than_ranks),
              cmocka_unit_test(fisher_matches_plain_loops),
              cmocka_unit_test(fisher_counts_whole_micro_batches),
              cmocka_unit_test(fisher_names_bad_weights_of_one_rank))
