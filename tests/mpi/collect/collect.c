#include "collect_bench.h"

#include "espalier/io/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static esp_collect_options options_of(int64_t pilot, bool covariance) {
  return (esp_collect_options){
      .bins = BINS, .pilot = pilot, .covariance = covariance, .halves = true};
}

static void check_same_as_alone(int64_t micro_batch, bool covariance) {
  const esp_collect_options options = options_of(40, covariance);
  ASSERT_ALL(is_same_as_alone(micro_batch, &options));
}

static void collect_writes_the_same_bytes_at_any_rank_count(void **state) {
  (void)state;
  check_same_as_alone(MICRO_BATCH, true);
  check_same_as_alone(MICRO_BATCH, false);
  check_same_as_alone(7, true);
}

static void collect_takes_fewer_micro_batches_than_ranks(void **state) {
  (void)state;
  check_same_as_alone(SAMPLES, true);
  check_same_as_alone(SAMPLES / 2, true);
}

/* Statistics of one site and the naive activations behind them. */
typedef struct evidence {
  bench bench;
  esp_stats *stats;
  esp_site_stats site;
  double *x; // (SAMPLES, features), in the shard's order
  int64_t features;
} evidence;

/* Collect with a pilot of all samples, and load a stage's statistics; stage 2 are the logits. */
static void load_evidence(evidence *self, int stage, bool covariance) {
  const bool is_logits = stage == self->bench.model->n_stages;
  const char *path = own_path("evidence.h5");
  const unsigned what = ESP_LOAD_PLANES | (covariance && !is_logits ? ESP_LOAD_COVARIANCE : 0);
  self->features = is_logits ? OUTPUTS : self->bench.model->stages[stage].units;
  const esp_collect_options options = options_of(SAMPLES, covariance);
  ESP_ASSERT(collect(&self->bench, &options, path) == ESP_OK);
  ESP_ASSERT(esp_stats_open(&test_comm, path, &self->stats) == ESP_OK);
  ESP_ASSERT(esp_stats_load_site(self->stats,
                                 is_logits ? "logits"
                                 : stage   ? "hidden.1"
                                           : "hidden.0",
                                 self->features, what, &self->site) == ESP_OK);
  double *x = ESP_NEW(double, SAMPLES * self->features);
  small_forward(self->bench.model, self->bench.data, stage, NULL, x);
  self->x = ESP_NEW(double, SAMPLES * self->features);
  for (int64_t s = 0; s < SAMPLES; s++)
    memcpy(self->x + s * self->features, x + self->bench.shard.order[s] * self->features,
           (size_t)self->features * sizeof *x);
  esp_free(&x);
}

static evidence open_evidence(int stage, bool covariance) {
  evidence self = {.bench = open_bench(&test_comm, MICRO_BATCH)};
  load_evidence(&self, stage, covariance);
  return self;
}

static void close_evidence(evidence *self) {
  esp_site_stats_clear(&self->site);
  esp_stats_close(&self->stats);
  esp_free(&self->x);
  close_bench(&self->bench);
}

static double mean_of(const evidence *self, int64_t i) {
  double sum = 0;
  for (int64_t s = 0; s < SAMPLES; s++) sum += self->x[s * self->features + i];
  return sum / SAMPLES;
}

static double covariance_of(const evidence *self, int64_t i, int64_t j) {
  const double mean_i = mean_of(self, i), mean_j = mean_of(self, j);
  double sum = 0;
  for (int64_t s = 0; s < SAMPLES; s++)
    sum += (self->x[s * self->features + i] - mean_i) * (self->x[s * self->features + j] - mean_j);
  return sum / SAMPLES;
}

static bool has_naive_moments(const evidence *self) {
  bool same = true;
  for (int64_t i = 0; i < self->features; i++) {
    const double mean = mean_of(self, i), variance = covariance_of(self, i, i);
    const double norm = sqrt(SAMPLES * (variance + mean * mean));
    same = same && fabs(self->site.mean[i] - mean) < 1e-6 * norm && variance > 0;
    same = same && fabs(self->site.variance[i] - variance) < 3e-6 * norm * norm / SAMPLES;
    same = same && fabs(self->site.norm[i] - norm) < 1e-6 * norm;
  }
  return same;
}

static void collect_gives_naive_moments_of_every_site(void **state) {
  (void)state;
  for (int stage = 0; stage <= 2; stage++)
    for (int covariance = 0; covariance <= 1; covariance++) {
      evidence found = open_evidence(stage, covariance);
      ASSERT_ALL(has_naive_moments(&found));
      close_evidence(&found);
    }
}

static void collect_gives_the_naive_covariance(void **state) {
  (void)state;
  evidence found = open_evidence(1, true);
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < UNITS; i++)
    for (int64_t j = 0; j < UNITS; j++) {
      const double expected = covariance_of(&found, i, j);
      worst = fmax(worst, fabs(found.site.covariance[i * UNITS + j] - expected));
      largest = fmax(largest, i == j ? 0 : fabs(expected));
    }
  ASSERT_ALL(worst < 1e-6 && largest > 0.05);
  close_evidence(&found);
}

/* A bias of 100 on activations whose standard deviation is about 1. */
static void collect_of_means_far_above_the_spread_keeps_the_covariance(void **state) {
  (void)state;
  evidence found = {.bench = open_bench(&test_comm, MICRO_BATCH)};
  esp_model_free(&found.bench.model);
  found.bench.model = small_model_new("relu", sizes, 4, 3);
  for (int64_t i = 0; i < UNITS; i++) found.bench.model->weights[3].value[i] += 100;
  load_evidence(&found, 1, true);
  double worst = 0;
  for (int64_t i = 0; i < UNITS; i++)
    for (int64_t j = 0; j < UNITS; j++)
      worst = fmax(worst, fabs(found.site.covariance[i * UNITS + j] - covariance_of(&found, i, j)));
  ASSERT_ALL(worst < 3e-6 && mean_of(&found, 0) > 50 * sqrt(covariance_of(&found, 0, 0)));
  ASSERT_ALL(has_naive_moments(&found));
  close_evidence(&found);
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void collect_puts_edges_at_the_pilot_s_quantiles(void **state) {
  (void)state;
  evidence found = open_evidence(1, false);
  bool same = true;
  for (int64_t u = 0; u < UNITS; u++) {
    double column[SAMPLES];
    for (int64_t s = 0; s < SAMPLES; s++) column[s] = found.x[s * UNITS + u];
    qsort(column, SAMPLES, sizeof *column, compare);
    const int64_t last[] = {21, 43, 66}; // greedy shares of 90: 22, 22, 23, 23
    for (int a = 0; a < BINS - 1; a++)
      same = same && fabs(found.site.edges[u * (BINS - 1) + a] - column[last[a]]) < 1e-5;
  }
  ASSERT_ALL(same);
  close_evidence(&found);
}

/* Number of planes in which a sample of this rank's micro-batch i has its bit. */
static int decode(const evidence *self, int64_t u, int64_t i, int64_t sample) {
  const esp_planes *planes = &self->site.planes;
  const int64_t word = i * self->stats->words + sample / 64;
  int code = 0;
  for (int a = 0; a < BINS - 1; a++) {
    const uint64_t bits = planes->words[(u * (BINS - 1) + a) * planes->stride + word];
    code += (int)(bits >> (sample % 64) & 1);
  }
  return code;
}

static void collect_stores_every_sample_s_bin(void **state) {
  (void)state;
  evidence found = open_evidence(1, false);
  int64_t wrong = 0, n[BINS] = {0};
  for (int64_t i = 0; i < found.stats->count; i++)
    for (int64_t s = 0; s < found.stats->valid[found.stats->first + i]; s++)
      for (int64_t u = 0; u < UNITS; u++) {
        const double x = found.x[((found.stats->first + i) * MICRO_BATCH + s) * UNITS + u];
        const float *edges = found.site.edges + u * (BINS - 1);
        const int code = decode(&found, u, i, s);
        wrong += code > 0 && x < edges[code - 1] - 1e-5;
        wrong += code < BINS - 1 && x > edges[code] + 1e-5;
        n[code]++;
      }
  esp_allreduce_sum_i64(&test_comm, n, BINS);
  ASSERT_ALL(wrong == 0);
  ASSERT_ALL(n[0] == 22 * UNITS && n[1] == 22 * UNITS && n[2] == 23 * UNITS && n[3] == 23 * UNITS);
  close_evidence(&found);
}

static void collect_leaves_bits_of_missing_samples_empty(void **state) {
  (void)state;
  evidence found = open_evidence(0, false);
  int64_t set = 0;
  for (int64_t i = 0; i < found.stats->count; i++)
    for (int64_t s = found.stats->valid[found.stats->first + i]; s < 64; s++)
      for (int64_t u = 0; u < found.features; u++) set += decode(&found, u, i, s);
  ASSERT_ALL(set == 0);
  close_evidence(&found);
}

static bool fails_without_a_file(bench *self, const char *path, esp_status code, const char *part) {
  char partial[176];
  snprintf(partial, sizeof partial, "%s.partial", path);
  const esp_collect_options options = options_of(40, true);
  const esp_status status = collect(self, &options, path);
  esp_barrier(&test_comm);
  const bool absent = access(path, F_OK) != 0 && access(partial, F_OK) != 0;
  esp_barrier(&test_comm);
  return status == code && strstr(esp_failure_text(), part) && absent;
}

/* The last rank alone finds NaN in the file, as in a page that was damaged on the way. */
static void collect_of_a_nan_weight_is_numeric_and_names_it(void **state) {
  (void)state;
  float bad[UNITS * 5];
  for (int i = 0; i < UNITS * 5; i++) bad[i] = NAN;
  bench self = open_bench(&test_comm, MICRO_BATCH);
  esp_model_free(&self.model);
  self.model = small_model_open(&test_comm, sizes, 4, own_path("model.h5"));
  if (test_comm.rank == test_comm.size - 1) self.model->weights[2].stored = bad;
  ASSERT_ALL(fails_without_a_file(&self, own_path("nan.h5"), ESP_NUMERIC, "layers.1.weight"));
  close_bench(&self);
}

static void collect_of_nan_on_one_rank_names_the_site_on_all(void **state) {
  (void)state;
  bench self = open_bench(&test_comm, MICRO_BATCH);
  if (test_comm.rank == test_comm.size - 1) self.model->weights[3].value[2] = NAN;
  ASSERT_ALL(fails_without_a_file(&self, own_path("nan.h5"), ESP_NUMERIC, "site 'hidden.1'"));
  close_bench(&self);
}

/* Unit 0 sees pixel 0 alone, which is above the mean in one sample only: the last rank's. */
static void collect_of_an_overflow_in_one_sample_names_the_site_on_all(void **state) {
  (void)state;
  bench self = open_bench(&test_comm, MICRO_BATCH);
  esp_model_free(&self.model);
  self.model = small_model_new("relu", sizes, 4, 3);
  for (int64_t i = 0; i < SAMPLES * WIDTH; i++) self.data->pixels[i] &= 127;
  self.data->pixels[self.shard.order[SAMPLES - 1] * WIDTH] = 255;
  for (int64_t i = 0; i < WIDTH; i++) self.model->weights[0].value[i] = i == 0 ? 3e38f : 0;
  ASSERT_ALL(fails_without_a_file(&self, own_path("inf.h5"), ESP_NUMERIC, "site 'hidden.0'"));
  close_bench(&self);
}

static void collect_to_a_missing_folder_is_io(void **state) {
  (void)state;
  bench self = open_bench(&test_comm, MICRO_BATCH);
  const char *path = own_path("missing/stats.h5");
  ASSERT_ALL(fails_without_a_file(&self, path, ESP_IO, "missing/stats.h5"));
  close_bench(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(collect_writes_the_same_bytes_at_any_rank_count),
              cmocka_unit_test(collect_takes_fewer_micro_batches_than_ranks),
              cmocka_unit_test(collect_gives_naive_moments_of_every_site),
              cmocka_unit_test(collect_gives_the_naive_covariance),
              cmocka_unit_test(collect_of_means_far_above_the_spread_keeps_the_covariance),
              cmocka_unit_test(collect_puts_edges_at_the_pilot_s_quantiles),
              cmocka_unit_test(collect_stores_every_sample_s_bin),
              cmocka_unit_test(collect_leaves_bits_of_missing_samples_empty),
              cmocka_unit_test(collect_of_a_nan_weight_is_numeric_and_names_it),
              cmocka_unit_test(collect_of_nan_on_one_rank_names_the_site_on_all),
              cmocka_unit_test(collect_of_an_overflow_in_one_sample_names_the_site_on_all),
              cmocka_unit_test(collect_to_a_missing_folder_is_io))
