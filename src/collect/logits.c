/* The softmax layer as a site: all classes of a classifier (repeated for every token of its
 * sequence), the final states of an encoder, or the logits of a vocabulary with the largest mean
 * probability (ours). */
#include "collect_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/memory.h"
#include "espalier/core/softmax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double to_fixed = 0x1p31; // fewer than 2^31 rows: no sum overflows

/* In units of 2^-31: below 2^51, where adding 1.5 x 2^52 rounds to an integer in the low bits. */
ESP_CLONES static void add_fixed(const float *z, int64_t n, double factor, int64_t *sums) {
  const double rounding = 6755399441055744.0;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    const double shifted = (double)z[i] * factor + rounding;
    int64_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &rounding, sizeof zero);
    sums[i] += bits - zero;
  }
}

/* Of a micro-batch, without padding; e (n) is scratch. */
static void add_probabilities(const collect_pass *pass, const esp_batch *batch, float *e,
                              int64_t *sums) {
  const bool is_by_sample = esp_model_is_by_sample(pass->model);
  const int64_t n = pass->model->n_outputs, width = is_by_sample ? 1 : batch->width;
  for (int64_t s = 0; s < batch->count; s++) {
    const int64_t length = batch->lengths && !is_by_sample ? batch->lengths[s] : width;
    for (int64_t t = 0; t < length; t++) {
      const float *z = pass->logits + (s * width + t) * n;
      const double total = esp_softmax_exponentiate(z, n, esp_softmax_find_top(z, n), 1.0f, e);
      add_fixed(e, n, to_fixed / total, sums);
    }
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

static esp_status sum_batches_local(collect_pass *pass, float *e, int64_t *sums) {
  for (int64_t i = 0; i < pass->shard->count; i++) {
    const esp_step step = esp_stream_step(&pass->stream, pass->model->n_stages, i);
    ESP_TRY(esp_step_run_head(&step, pass->logits));
    add_probabilities(pass, &step.call.batch, e, sums);
    collect_fisher_turn_local(pass, i);
  }
  return ESP_OK;
}

static esp_status sum_probabilities_local(collect_pass *pass, int64_t *sums) {
  float *e = ESP_NEW(float, pass->model->n_outputs);
  const esp_status status = sum_batches_local(pass, e, sums);
  esp_free(&e);
  return status;
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

/* Of a vocabulary, only the logits that are measured are computed. */
esp_status collect_produce_logits_local(collect_pass *pass, int stage, int64_t i, int64_t *rows) {
  const esp_logit_list measured = {pass->units, pass->n_units};
  esp_step step = esp_stream_step(&pass->stream, stage, i);
  const esp_batch *batch = &step.call.batch;
  if (pass->n_units < pass->model->n_outputs) step.call.only = &measured;
  ESP_TRY(esp_step_run_head(&step, pass->logits));
  *rows = esp_batch_count_rows(batch);
  if (esp_batch_count_outputs(pass->model, batch) < *rows)
    repeat_rows(batch, pass->n_units, pass->logits, pass->x);
  else
    memcpy(pass->x, pass->logits, (size_t)(*rows * pass->n_units) * sizeof *pass->x);
  *rows = esp_batch_compact(batch, pass->n_units, pass->x);
  return ESP_OK;
}
