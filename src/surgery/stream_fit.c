#include "streams.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

enum { HOLD_OUT = 8 };

/* Rows of a residual stream weigh 1 / mean square of the dense stream, as the next norm has it:
 * real models have a few tokens with enormous activations. Rows of x and target are scaled by the
 * square root. */
void streams_weigh_rows_local(streams *self, const esp_stage *dense, const float *state,
                              int64_t rows, const stream_fit *fit) {
  const int64_t n_in = fit->n_in, n_out = fit->n_out;
  const int64_t d = dense->state_out;
  for (int64_t r = 0; r < rows; r++) {
    double sum = 0.0;
    for (int64_t j = 0; j < d; j++) sum += (double)state[r * d + j] * state[r * d + j];
    const float weight =
        dense->is_residual && sum > 0.0 ? (float)(1.0 / sqrt(sum / (double)d)) : 1.0f;
    self->weight[r] = weight;
    for (int64_t j = 0; j < n_in; j++) self->x[r * n_in + j] *= weight;
    for (int64_t j = 0; j < n_out; j++) self->target[r * n_out + j] *= weight;
  }
}

int64_t streams_drop_padding_local(streams *self, const esp_batch *batch, const stream_fit *fit) {
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
  esp_stream_free_scratch(&self->dense);
  ESP_TRY(regression_reduce(comm, &parts[0]));
  return regression_reduce(comm, &parts[1]);
}

/* Without held-out samples there is nothing to choose by, and the start stays. */
static esp_status fit_sums(streams *self, const stream_fit *fit, regression parts[2],
                           esp_repair_fit *chosen) {
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
  *chosen = (esp_repair_fit){choice.ridge, choice.step, choice.error_before, choice.error_after};
  esp_free(&start);
  return status;
}

esp_status streams_fit(streams *self, const stream_fit *fit, esp_repair_fit *chosen) {
  regression parts[2] = {0};
  esp_status status = sum_rows(self, fit, parts);
  if (status == ESP_OK) status = fit_sums(self, fit, parts, chosen);
  for (int p = 0; p < 2; p++) regression_clear(&parts[p]);
  return status;
}
