/* The softmax layer as a site: all classes of a classifier (repeated for every token of its
 * sequence), the final states of an encoder, or the logits of a vocabulary with the largest mean
 * probability (ours). */
#include "collect_internal.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double to_fixed = 0x1p31; // fewer than 2^31 rows: no sum overflows

static void add_probabilities(const float *logits, int64_t rows, int64_t n, int64_t *sums) {
  for (int64_t r = 0; r < rows; r++) {
    const float *z = logits + r * n;
    float top = z[0];
    for (int64_t i = 1; i < n; i++) top = z[i] > top ? z[i] : top;
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) total += expf(z[i] - top);
    for (int64_t i = 0; i < n; i++)
      sums[i] += (int64_t)((double)expf(z[i] - top) / total * to_fixed);
  }
}

typedef struct ranked {
  int64_t sum, index;
} ranked;

static int compare(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->sum != y->sum) return x->sum > y->sum ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

static int compare_index(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void pick_largest(const int64_t *sums, int64_t n, int64_t n_picked, int64_t *picked) {
  ranked *all = ESP_NEW(ranked, n);
  for (int64_t i = 0; i < n; i++) all[i] = (ranked){sums[i], i};
  qsort(all, (size_t)n, sizeof *all, compare);
  for (int64_t i = 0; i < n_picked; i++) picked[i] = all[i].index;
  qsort(picked, (size_t)n_picked, sizeof *picked, compare_index);
  esp_free(&all);
}

static esp_status sum_probabilities_local(collect_pass *pass, int64_t *sums) {
  const int64_t n = pass->model->n_outputs;
  for (int64_t i = 0; i < pass->shard->count; i++) {
    const esp_step step = esp_stream_step(&pass->stream, pass->model->n_stages, i);
    ESP_TRY(esp_step_run_head(&step, pass->logits));
    const int64_t rows = esp_batch_compact(&step.call.batch, n, pass->logits);
    add_probabilities(pass->logits, rows, n, sums);
  }
  return ESP_OK;
}

esp_status collect_choose_logits(collect_pass *pass) {
  const int64_t n = pass->model->n_outputs;
  pass->n_units = collect_count_logits(pass->model, pass->options);
  pass->units = ESP_NEW(int64_t, pass->n_units);
  for (int64_t i = 0; i < pass->n_units; i++) pass->units[i] = i;
  if (pass->n_units == n) return ESP_OK;
  int64_t *sums = ESP_NEW(int64_t, n);
  const esp_status status = esp_agree(pass->comm, sum_probabilities_local(pass, sums));
  esp_allreduce_sum_i64(pass->comm, sums, n);
  pick_largest(sums, n, pass->n_units, pass->units);
  esp_free(&sums);
  return status;
}

/* A classifier of sequences has one row a sequence; every token of it gets a copy. */
static void repeat_rows(const esp_batch *batch, int64_t n, const float *from, float *to) {
  for (int64_t s = batch->count - 1; s >= 0; s--)
    for (int64_t t = batch->width - 1; t >= 0; t--)
      memcpy(to + (s * batch->width + t) * n, from + s * n, (size_t)n * sizeof *to);
}

esp_status collect_produce_logits_local(collect_pass *pass, int stage, int64_t i, int64_t *rows) {
  const int64_t n = pass->model->n_outputs;
  const esp_step step = esp_stream_step(&pass->stream, stage, i);
  const esp_batch *batch = &step.call.batch;
  ESP_TRY(esp_step_run_head(&step, pass->logits));
  *rows = esp_batch_count_outputs(pass->model, batch);
  for (int64_t r = 0; r < *rows; r++)
    for (int64_t j = 0; j < pass->n_units; j++)
      pass->logits[r * pass->n_units + j] = pass->logits[r * n + pass->units[j]];
  const bool is_repeated = *rows < esp_batch_count_rows(batch);
  *rows = esp_batch_count_rows(batch);
  if (is_repeated)
    repeat_rows(batch, n, pass->logits, pass->x);
  else
    memcpy(pass->x, pass->logits, (size_t)(*rows * pass->n_units) * sizeof *pass->x);
  *rows = esp_batch_compact(batch, pass->n_units, pass->x);
  return ESP_OK;
}
