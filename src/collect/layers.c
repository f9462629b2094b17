/* How far each layer turns the residual stream: the mean over all rows of the cosine between what
 * it reads and what it leaves (Men et al. 2024, whose block influence is 1 less it). A cosine is
 * summed as an integer of 2^-31, so that the sum is the same at any rank count. */
#include "collect_internal.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static const double to_fixed = 0x1p31; // fewer than 2^31 rows: no sum overflows

static bool is_measured(const collect_pass *pass) {
  return pass->has_width && esp_model_count_layers(pass->model) > 0;
}

static double compute_cosine(const float *a, const float *b, int64_t n) {
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (int64_t j = 0; j < n; j++) {
    ab += (double)a[j] * b[j];
    aa += (double)a[j] * a[j];
    bb += (double)b[j] * b[j];
  }
  return aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : 0.0;
}

void collect_layer_begin_local(collect_pass *pass, int stage) {
  const int64_t n = pass->batch_rows * pass->model->width.units;
  if (!is_measured(pass) || stage % ESP_LAYER_STAGES != 0) return;
  if (!pass->before) {
    pass->before = ESP_NEW(float, pass->shard->count *n);
    pass->cosines = ESP_NEW(int64_t, esp_model_count_layers(pass->model));
  }
  for (int64_t i = 0; i < pass->shard->count; i++)
    memcpy(pass->before + i * n, esp_stream_find_state(&pass->stream, stage, i),
           (size_t)n * sizeof *pass->before);
}

/* Rows of micro-batch i, behind a stage, that are not padding. */
static int64_t sum_cosines(const collect_pass *pass, int stage, int64_t i) {
  const esp_shard *shard = pass->shard;
  const int64_t d = pass->model->width.units, at = shard->first + i;
  const int64_t length = pass->batch_rows / shard->micro_batch;
  const float *before = pass->before + i * pass->batch_rows * d;
  const float *after = esp_stream_find_state(&pass->stream, stage + 1, i);
  int64_t sum = 0;
  for (int64_t s = 0; s < esp_shard_count_samples(shard, at); s++)
    for (int64_t t = 0; t < esp_shard_count_valid_of(shard, at, s); t++) {
      const int64_t row = (s * length + t) * d;
      sum += llrint(compute_cosine(before + row, after + row, d) * to_fixed);
    }
  return sum;
}

void collect_layer_end_local(collect_pass *pass, int stage) {
  if (!is_measured(pass) || stage % ESP_LAYER_STAGES != ESP_LAYER_STAGES - 1) return;
  for (int64_t i = 0; i < pass->shard->count; i++)
    pass->cosines[stage / ESP_LAYER_STAGES] += sum_cosines(pass, stage, i);
}

esp_status collect_lay_out_layers(collect_pass *pass) {
  if (!is_measured(pass)) return ESP_OK;
  return esp_stats_write_layers(pass->stats, esp_model_count_layers(pass->model), NULL);
}

esp_status collect_write_layers(collect_pass *pass) {
  const int64_t n = esp_model_count_layers(pass->model);
  if (!is_measured(pass)) return ESP_OK;
  esp_allreduce_sum_i64(pass->comm, pass->cosines, n);
  double *means = ESP_NEW(double, n);
  for (int64_t l = 0; l < n; l++)
    means[l] = (double)pass->cosines[l] / to_fixed / (double)pass->stats->rows;
  const esp_status status = esp_stats_write_layers(pass->stats, n, means);
  esp_free(&means);
  return status;
}

void collect_clear_layers_local(collect_pass *pass) {
  esp_free(&pass->before);
  esp_free(&pass->cosines);
}
