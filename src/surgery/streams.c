#include "streams.h"

#include "espalier/collect/collect.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

enum { HOLD_OUT = 8 };

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Maps that read the stream are refitted only once its width is cut. */
static int64_t count_targets(const esp_repair_job *job) {
  const esp_model *model = job->dense;
  int64_t most = model->max_state;
  if (!readers_are_cut(job)) return most;
  for (int i = 0; i < model->width.n_readers; i++)
    most = larger(most, model->width.readers[i].linear.outputs);
  return most < STREAM_OUTPUTS ? most : larger(model->max_state, STREAM_OUTPUTS);
}

static void allocate(streams *self, esp_repair_job *job) {
  const esp_model *dense = job->dense;
  const int64_t rows = esp_shard_count_rows(job->shard);
  const int64_t widest = larger(dense->max_features, dense->max_state);
  *self = (streams){.job = job,
                    .rows = rows,
                    .dense = ESP_NEW(float *, job->shard->count),
                    .pruned = ESP_NEW(float *, job->shard->count),
                    .x_dense = ESP_NEW(float, rows *widest),
                    .x = ESP_NEW(float, rows *widest),
                    .target = ESP_NEW(float, rows *count_targets(job)),
                    .weight = ESP_NEW(float, rows)};
}

void streams_close(streams *self) {
  for (int64_t i = 0; i < self->job->shard->count; i++) {
    esp_free(&self->dense[i]);
    esp_free(&self->pruned[i]);
  }
  esp_free(&self->dense);
  esp_free(&self->pruned);
  esp_free(&self->x_dense);
  esp_free(&self->x);
  esp_free(&self->target);
  esp_free(&self->weight);
}

void streams_read(streams *self, int64_t i, esp_batch *batch) {
  esp_shard_read(self->job->shard, self->job->shard->first + i, batch);
}

static esp_status embed_local(streams *self) {
  esp_repair_job *job = self->job;
  ESP_TRY(esp_model_load_local(job->dense, ESP_STAGE_EMBED));
  ESP_TRY(esp_model_load_local(job->pruned, ESP_STAGE_EMBED));
  for (int64_t i = 0; i < job->shard->count; i++) {
    esp_batch batch;
    streams_read(self, i, &batch);
    self->dense[i] = ESP_NEW(float, self->rows * job->dense->max_state);
    self->pruned[i] = ESP_NEW(float, self->rows * job->dense->max_state);
    job->dense->family->embed(job->dense, &batch, self->dense[i]);
    job->pruned->family->embed(job->pruned, &batch, self->pruned[i]);
  }
  esp_model_unload(job->pruned, ESP_STAGE_EMBED);
  esp_model_unload(job->dense, ESP_STAGE_EMBED);
  return ESP_OK;
}

esp_status streams_open(streams *self, esp_repair_job *job) {
  allocate(self, job);
  return esp_agree(job->comm, embed_local(self));
}

esp_status streams_advance(streams *self, esp_model *model, float **states, int stage) {
  for (int64_t i = 0; i < self->job->shard->count; i++) {
    esp_batch batch;
    streams_read(self, i, &batch);
    ESP_TRY(esp_produce_checked(model, stage, &batch, states[i], self->x));
    esp_stage_consume(model, stage, esp_batch_count_rows(&batch), self->x, states[i]);
    esp_stage_finish(model, stage, &batch, states[i]);
  }
  return ESP_OK;
}

int64_t streams_drop_padding(streams *self, const esp_batch *batch, const stream_fit *fit) {
  esp_batch_compact(batch, fit->n_in, self->x);
  esp_batch_compact(batch, fit->n_out, self->target);
  return esp_batch_compact(batch, 1, self->weight);
}

static void compute_rms(const float *values, int64_t rows, int64_t n, double *rms) {
  for (int64_t j = 0; j < n; j++) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; r++) sum += (double)values[r * n + j] * values[r * n + j];
    rms[j] = sqrt(sum / (double)rows);
  }
}

/* The sums' scales come from micro-batch 0, which is always rank 0's, so they don't depend on the
 * ranks. */
static void init_sums(streams *self, const stream_fit *fit, int64_t rows, regression parts[2]) {
  const esp_comm *comm = self->job->comm;
  const int64_t n_in = fit->n_in, n_out = fit->n_out;
  double *rms = ESP_NEW(double, n_in + n_out + 1);
  if (comm->rank == 0) {
    compute_rms(self->x, rows, n_in, rms);
    compute_rms(self->target, rows, n_out, rms + n_in);
    compute_rms(self->weight, rows, 1, rms + n_in + n_out);
  }
  esp_bcast(comm, rms, (n_in + n_out + 1) * (int64_t)sizeof *rms, 0);
  for (int p = 0; p < 2; p++) regression_init(&parts[p], n_in, n_out, rms);
  esp_free(&rms);
}

/* Micro-batch i of all is held out: the last of every eight, or the last of all if there are fewer.
 */
static bool is_held_out(const esp_shard *shard, int64_t i) {
  const int64_t every = shard->n_batches < HOLD_OUT ? shard->n_batches : HOLD_OUT;
  return every > 1 && i % every == every - 1;
}

static esp_status add_local(streams *self, int64_t i, int64_t rows, regression parts[2]) {
  const int part = is_held_out(self->job->shard, self->job->shard->first + i);
  return regression_add_local(&parts[part], rows, self->x, self->target, self->weight);
}

/* All micro-batches of this rank; the first is formed before the sums' scales are known.
 * Collective. */
static esp_status sum_rows(streams *self, const stream_fit *fit, regression parts[2]) {
  const esp_comm *comm = self->job->comm;
  int64_t rows = 0;
  esp_status status = self->job->shard->count > 0 ? fit->form(self, fit, 0, &rows) : ESP_OK;
  status = esp_agree(comm, status);
  if (status != ESP_OK) return status;
  init_sums(self, fit, rows, parts);
  for (int64_t i = 0; i < self->job->shard->count && status == ESP_OK; i++) {
    if (i > 0) status = fit->form(self, fit, i, &rows);
    if (status == ESP_OK) status = add_local(self, i, rows, parts);
  }
  ESP_TRY(esp_agree(comm, status));
  ESP_TRY(regression_reduce(comm, &parts[0]));
  return regression_reduce(comm, &parts[1]);
}

static void report_choice(const correction_choice *choice, json_t *report) {
  json_object_set_new(report, "ridge", json_real(choice->ridge));
  json_object_set_new(report, "step", json_real(choice->step));
  json_object_set_new(report, "held_out_error_before", json_real(choice->error_before));
  json_object_set_new(report, "held_out_error_after", json_real(choice->error_after));
}

/* Without held-out samples there is nothing to choose by, and the start stays. */
static esp_status fit_sums(streams *self, const stream_fit *fit, regression parts[2],
                           json_t *report) {
  const size_t bytes = (size_t)(fit->n_out * fit->n_in) * sizeof(float);
  float *start = ESP_NEW(float, fit->n_out * fit->n_in);
  memcpy(start, fit->weights, bytes);
  const correction_problem problem = {.comm = self->job->comm,
                                      .fit = &parts[0],
                                      .held_out = &parts[1],
                                      .start = start,
                                      .has_bias = fit->bias != NULL};
  correction_choice choice = {0};
  esp_status status = ESP_OK;
  if (parts[1].samples > 0) status = correction_choose(&problem, &choice);
  regression_merge(&parts[0], &parts[1]);
  if (status == ESP_OK) status = correction_apply(&problem, &choice, fit->weights);
  if (status == ESP_OK && fit->bias) regression_bias(&parts[0], fit->weights, fit->bias);
  report_choice(&choice, report);
  esp_free(&start);
  return status;
}

esp_status streams_fit(streams *self, const stream_fit *fit, json_t *report) {
  regression parts[2] = {0};
  esp_status status = sum_rows(self, fit, parts);
  if (status == ESP_OK) status = fit_sums(self, fit, parts, report);
  for (int p = 0; p < 2; p++) regression_clear(&parts[p]);
  return status;
}
