/* The golden network on any communicator: what the tests of the repairs stand on. */
#ifndef ESPALIER_TESTS_REPAIR_BENCH_H
#define ESPALIER_TESTS_REPAIR_BENCH_H

#include "espalier/collect/collect.h"
#include "espalier/surgery/repair.h"
#include "mpi.h"
#include "repair.h"
#include "small.h"

#include <math.h>
#include <string.h>

enum { STAGES = 2, WIDTH = 6, OUTPUTS = 3, MOST_UNITS = 9 };

/* The golden network, its cut, its data in the golden order, and statistics. */
typedef struct bench {
  const esp_comm *comm;
  esp_model *dense, *pruned;
  esp_dataset *data;
  esp_shard shard;
  esp_stats *stats;
  esp_selection selection;
  esp_repair_report report;
} bench;

static const int64_t all_units[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
static const int64_t *const golden_kept[] = {golden_kept_0, golden_kept_1};
static const int64_t *const every_unit[] = {all_units, all_units};
static const int64_t golden_counts[] = {ESP_COUNT(golden_kept_0), ESP_COUNT(golden_kept_1)};
static const int64_t every_count[] = {9, 8};

/* shift is added to the first layer's biases. */
static inline void write_model(float shift) {
  const float *values[] = {golden_weight_0, golden_bias_0,   golden_weight_1,
                           golden_bias_1,   golden_weight_2, golden_bias_2};
  esp_model *made = small_model_new("tanh", golden_sizes, ESP_COUNT(golden_sizes), 1);
  for (int w = 0; w < made->n_weights; w++)
    memcpy(made->weights[w].value, values[w],
           (size_t)esp_weight_count(&made->weights[w]) * sizeof(float));
  for (int i = 0; i < MOST_UNITS; i++) made->weights[1].value[i] += shift;
  ESP_ASSERT(small_model_save(&test_comm, made, test_path("dense.h5")) == ESP_OK);
  esp_model_free(&made);
}

/* The data set's n-th chosen sample is the n-th golden one, whatever the shard's order is. */
static inline void open_data(bench *self, int64_t micro_batch) {
  const esp_shard_options options = {.micro_batch = micro_batch, .seed = 11};
  self->data = small_dataset_new(golden_samples, WIDTH, 1);
  esp_shard_init(&self->shard, self->comm, self->data, &options);
  for (int64_t s = 0; s < golden_samples; s++)
    memcpy(self->data->pixels + self->shard.order[s] * WIDTH, golden_pixels + s * WIDTH, WIDTH);
}

/* Statistics of all ranks' making, which esp_collect makes the same at any rank count. */
static inline void write_stats(int64_t micro_batch, bool covariance) {
  const esp_collect_options options = {.bins = 4, .pilot = 48, .covariance = covariance};
  bench self = {.comm = &test_comm};
  ESP_ASSERT(esp_model_open(&test_comm, test_path("dense.h5"), &self.dense) == ESP_OK);
  open_data(&self, micro_batch);
  json_t *meta = small_meta_new(&test_comm, self.dense, self.data, micro_batch);
  ESP_ASSERT(esp_collect(&test_comm, self.dense, &self.shard, &options, meta,
                         test_path("stats.h5")) == ESP_OK);
  esp_shard_clear(&self.shard);
  esp_dataset_close(&self.data);
  esp_model_free(&self.dense);
}

static inline void cut(bench *self, const int64_t *const *kept, const int64_t *n_kept) {
  esp_selection_init(&self->selection, STAGES);
  for (int i = 0; i < STAGES; i++) {
    self->selection.n_kept[i] = n_kept[i];
    self->selection.kept[i] = ESP_NEW(int64_t, n_kept[i]);
    memcpy(self->selection.kept[i], kept[i], (size_t)n_kept[i] * sizeof **kept);
  }
  ESP_ASSERT(esp_model_cut(self->dense, &self->selection, &self->pruned) == ESP_OK);
}

/* Open what write_files has written, on any communicator. */
static inline bench open_bench(const esp_comm *comm, int64_t micro_batch) {
  bench self = {.comm = comm};
  ESP_ASSERT(esp_model_open(comm, test_path("dense.h5"), &self.dense) == ESP_OK);
  ESP_ASSERT(esp_stats_open(comm, test_path("stats.h5"), &self.stats) == ESP_OK);
  open_data(&self, micro_batch);
  return self;
}

static inline void write_files(int64_t micro_batch) {
  write_model(0);
  write_stats(micro_batch, true);
}

static inline bench open_golden(void) {
  write_files(golden_batch);
  bench self = open_bench(&test_comm, golden_batch);
  cut(&self, golden_kept, golden_counts);
  return self;
}

static inline void close_bench(bench *self) {
  esp_repair_report_clear(&self->report);
  esp_stats_close(&self->stats);
  esp_shard_clear(&self->shard);
  esp_dataset_close(&self->data);
  esp_model_free(&self->pruned);
  esp_selection_clear(&self->selection);
  esp_model_free(&self->dense);
}

static inline esp_status apply(bench *self, const char *name, double ridge) {
  const esp_repair *repair = NULL;
  esp_repair_job job = {.comm = self->comm,
                        .dense = self->dense,
                        .pruned = self->pruned,
                        .selection = &self->selection,
                        .stats = self->stats,
                        .shard = &self->shard,
                        .ridge = ridge,
                        .report = &self->report};
  ESP_ASSERT(esp_repair_find(name, &repair) == ESP_OK);
  return repair->apply(&job);
}

static inline void load_all(bench *self) {
  ESP_ASSERT(esp_model_load_all(self->comm, self->dense) == ESP_OK);
  ESP_ASSERT(esp_model_load_all(self->comm, self->pruned) == ESP_OK);
}

/* Largest difference of a weight's values from expected ones. */
static inline double compare(const esp_weight *weight, const double *expected) {
  double worst = 0;
  for (int64_t i = 0; i < esp_weight_count(weight); i++)
    worst = fmax(worst, fabs((double)weight->value[i] - expected[i]));
  return worst;
}

/* What was chosen for a stage. */
static inline esp_repair_fit get_choice(const bench *self, int stage) {
  const char *const names[] = {"hidden.0", "hidden.1"};
  const esp_repair_row *row = esp_repair_report_find(&self->report, names[stage]);
  ESP_ASSERT(row && row->has_fit);
  return row->fit;
}

#endif
