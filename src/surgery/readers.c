/* Readers of the residual stream after a cut of the width. A norm over fewer dimensions is not the
 * old one's cut, so a reader is refitted to what it gave: W' = argmin E||W n(r) - W' n'(r')||^2,
 * for the kept rows of W, with n the dense model's norm of its stream r and n' the pruned model's
 * of its own, r'. docs/method/repair.md (ours). */
#include "streams.h"

#include "espalier/core/memory.h"
#include "espalier/linalg/gemm.h"
#include "espalier/model/family.h"

#include <string.h>

/* Both models' weights of one reader. */
typedef struct reader {
  const esp_linear *dense, *pruned;
  const esp_weight *dense_weight;
  esp_weight *pruned_weight;
  const int64_t *rows; // kept outputs; NULL: all
} reader;

/* target = W x_dense + b for the rows being fitted, x = the pruned stream as its norm gives it. */
static esp_status form_rows_local(streams *self, const stream_fit *fit, int64_t i, int64_t *rows) {
  const esp_step dense = esp_stream_step(&self->dense, fit->stage, i);
  const esp_step pruned = esp_stream_step(&self->pruned, fit->stage, i);
  const int64_t all = esp_call_count_rows(&dense.call), d = self->job->dense->width.units;
  esp_step_read(&dense, self->x_dense);
  esp_step_read(&pruned, self->x);
  esp_gemm_compute(&(esp_gemm){.transpose_b = true,
                               .m = all,
                               .n = fit->n_out,
                               .k = d,
                               .alpha = 1.0f,
                               .a = self->x_dense,
                               .lda = d,
                               .b = fit->dense,
                               .ldb = d,
                               .c = self->target,
                               .ldc = fit->n_out});
  for (int64_t r = 0; r < all; r++) {
    self->weight[r] = 1.0f;
    for (int64_t j = 0; j < fit->n_out && fit->bias; j++)
      self->target[r * fit->n_out + j] += fit->dense_bias[j];
  }
  *rows = streams_drop_padding_local(self, &dense.call.batch, fit);
  return ESP_OK;
}

static int64_t dense_row(const reader *self, int64_t i) {
  return self->rows ? self->rows[i] : i;
}

/* Outputs [begin, begin + n_out) as matrices: rows of the dense map, and the cut ones to start
 * from. */
static void read_rows(const reader *self, const esp_model *dense, int64_t begin, stream_fit *fit,
                      float *rows, float *bias) {
  for (int64_t i = 0; i < fit->n_out; i++) {
    const int64_t row = dense_row(self, begin + i);
    for (int64_t j = 0; j < self->dense->inputs; j++)
      rows[i * self->dense->inputs + j] = self->dense_weight->value[linear_at(self->dense, row, j)];
    for (int64_t j = 0; j < fit->n_in; j++)
      fit->weights[i * fit->n_in + j] =
          self->pruned_weight->value[linear_at(self->pruned, begin + i, j)];
    if (bias) bias[i] = dense->weights[self->dense->bias].value[row];
  }
}

static void store_rows(const reader *self, int64_t begin, const stream_fit *fit, float *values,
                       float *bias) {
  for (int64_t i = 0; i < fit->n_out; i++) {
    for (int64_t j = 0; j < fit->n_in; j++)
      values[linear_at(self->pruned, begin + i, j)] = fit->weights[i * fit->n_in + j];
    if (bias) bias[begin + i] = fit->bias[i];
  }
}

static esp_status fit_rows(streams *self, const reader *which, stream_fit *fit, int64_t begin,
                           float *out[2]) {
  const bool has_bias = which->pruned->bias >= 0;
  float *rows = ESP_NEW(float, fit->n_out * which->dense->inputs);
  float *bias = has_bias ? ESP_NEW(float, fit->n_out) : NULL;
  fit->weights = ESP_NEW(float, fit->n_out * fit->n_in);
  fit->bias = has_bias ? ESP_NEW(float, fit->n_out) : NULL;
  read_rows(which, self->job->dense, begin, fit, rows, bias);
  fit->dense = rows;
  fit->dense_bias = bias;
  esp_repair_fit chosen = {0};
  const esp_status status = streams_fit(self, fit, &chosen);
  if (status == ESP_OK) store_rows(which, begin, fit, out[0], out[1]);
  esp_repair_report_set(self->job->report, which->pruned_weight->name, &chosen);
  esp_free(&fit->weights);
  esp_free(&fit->bias);
  esp_free(&bias);
  esp_free(&rows);
  return status;
}

/* Values are made the weight's own at the end, since each part starts from the cut ones. */
static void own(esp_weight *weight, const float *values) {
  memcpy(esp_weight_own(weight), values, (size_t)esp_weight_count(weight) * sizeof *values);
}

static esp_status fit_reader(streams *self, int stage, const reader *which) {
  esp_model *pruned = self->job->pruned;
  const int64_t n = which->pruned->outputs, bias = which->pruned->bias;
  float *out[2] = {ESP_NEW(float, n * which->pruned->inputs), bias >= 0 ? ESP_NEW(float, n) : NULL};
  esp_status status = ESP_OK;
  for (int64_t begin = 0; begin < n && status == ESP_OK; begin += STREAM_OUTPUTS) {
    const int64_t left = n - begin;
    stream_fit fit = {.stage = stage,
                      .n_in = which->pruned->inputs,
                      .n_out = left < STREAM_OUTPUTS ? left : STREAM_OUTPUTS,
                      .form = form_rows_local};
    status = fit_rows(self, which, &fit, begin, out);
  }
  if (status == ESP_OK) own(which->pruned_weight, out[0]);
  if (status == ESP_OK && bias >= 0) own(&pruned->weights[bias], out[1]);
  for (int i = 0; i < 2; i++) esp_free(&out[i]);
  return status;
}

esp_status readers_fit(streams *self, int stage) {
  const esp_repair_job *job = self->job;
  int n;
  if (!selection_cuts_width(job->selection)) return ESP_OK;
  const esp_reader *dense = esp_model_get_readers(job->dense, stage, &n);
  const esp_reader *pruned = esp_model_get_readers(job->pruned, stage, &n);
  for (int i = 0; i < n; i++) {
    const esp_linear *linear = &pruned[i].linear;
    esp_weight *weight = &job->pruned->weights[linear->weight];
    const reader which = {.dense = &dense[i].linear,
                          .pruned = linear,
                          .dense_weight = &job->dense->weights[dense[i].linear.weight],
                          .pruned_weight = weight,
                          .rows = weight->keep[linear->input_major ? 1 : 0]};
    if (weight->stage != ESP_STAGE_EMBED) ESP_TRY(fit_reader(self, stage, &which));
  }
  return ESP_OK;
}

/* The pruned stream becomes the kept dimensions of the dense one. */
static void follow(const streams *self, int stage) {
  const esp_repair_job *job = self->job;
  const int64_t d = job->dense->width.units, k = job->pruned->width.units;
  const int64_t *kept = job->selection->kept[job->dense->n_stages];
  for (int64_t i = 0; i < self->dense.count; i++) {
    const float *dense = esp_stream_find_state(&self->dense, stage, i);
    float *pruned = esp_stream_find_state(&self->pruned, stage, i);
    for (int64_t r = 0; r < self->dense.rows; r++)
      for (int64_t j = 0; j < k; j++) pruned[r * k + j] = dense[r * d + kept[j]];
  }
}

static const repair_pass pass = {"readers", consumer_count_unknowns_local};

static esp_status fit_stage(streams *self, int stage) {
  esp_repair_job *job = self->job;
  const bool is_done = repair_is_done_local(job, &pass, stage);
  if (is_done) ESP_TRY(repair_restore(job, &pass, stage));
  ESP_TRY(repair_load(job, stage));
  follow(self, stage);
  esp_status status = is_done ? ESP_OK : readers_fit(self, stage);
  if (status == ESP_OK && stage < job->dense->n_stages)
    status = esp_agree(job->comm, esp_stream_advance(&self->dense, stage, self->x));
  esp_stream_unload(&self->pruned, stage);
  esp_stream_unload(&self->dense, stage);
  return status == ESP_OK && !is_done ? repair_save(job, &pass, stage) : status;
}

esp_status readers_fit_all(esp_repair_job *job) {
  bool is_done;
  ESP_TRY(repair_restore_all(job, &pass, job->dense->n_stages + 1, &is_done));
  if (is_done) return ESP_OK;
  streams self;
  esp_status status = streams_open(&self, job);
  for (int stage = 0; stage <= job->dense->n_stages && status == ESP_OK; stage++)
    status = fit_stage(&self, stage);
  streams_close_local(&self);
  return status;
}
