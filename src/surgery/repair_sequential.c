/* Sequential least squares (ours): two streams from the bottom, the dense model's and that of the model as
 * cut and repaired so far. Every consumer is fitted to what is missing from the dense stream, so that errors
 * are corrected, not piled up. It starts from plain least squares; ridge and step of the correction are those
 * that do best on every eighth micro-batch, held out. METHOD section 6. */
#include "surgery.h"

#include "espalier/collect/collect.h"
#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>

enum { HOLD_OUT = 8 };

typedef struct streams {
  esp_repair_job *job;
  int64_t rows;            // of a full micro-batch
  float **dense, **pruned; // (shard->count): states
  float *x_dense, *x;      // activations, scratch
  float *target;           // (rows, n_out) scratch
  float *weight;           // (rows) of each row in the fit
} streams;

static streams open_streams(esp_repair_job *job) {
  const esp_shard *shard = job->shard;
  const int64_t rows = esp_shard_count_rows(shard);
  return (streams){.job = job,
                   .rows = rows,
                   .dense = ESP_NEW(float *, shard->count),
                   .pruned = ESP_NEW(float *, shard->count),
                   .x_dense = ESP_NEW(float, rows * job->dense->max_features),
                   .x = ESP_NEW(float, rows * job->dense->max_features),
                   .target = ESP_NEW(float, rows * job->dense->max_state),
                   .weight = ESP_NEW(float, rows)};
}

static void close_streams(streams *self) {
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

static void read_batch(streams *self, int64_t i, esp_batch *batch) {
  esp_shard_read(self->job->shard, self->job->shard->first + i, batch);
}

static esp_status embed_local(streams *self) {
  esp_repair_job *job = self->job;
  ESP_TRY(esp_model_load_local(job->dense, ESP_STAGE_EMBED));
  ESP_TRY(esp_model_load_local(job->pruned, ESP_STAGE_EMBED));
  for (int64_t i = 0; i < job->shard->count; i++) {
    esp_batch batch;
    read_batch(self, i, &batch);
    self->dense[i] = ESP_NEW(float, self->rows * job->dense->max_state);
    self->pruned[i] = ESP_NEW(float, self->rows * job->dense->max_state);
    job->dense->family->embed(job->dense, &batch, self->dense[i]);
    job->pruned->family->embed(job->pruned, &batch, self->pruned[i]);
  }
  return ESP_OK;
}

/* Rows of a residual stream weigh 1 / mean square of the dense stream, as the next norm has it: real models have
 * a few tokens with enormous activations. Rows of x and target are scaled by the square root. */
static void weigh_rows(streams *self, const esp_stage *dense, const float *state, int64_t rows,
                       int64_t n_in, int64_t n_out) {
  const int64_t d = dense->state_out;
  for (int64_t r = 0; r < rows; r++) {
    double sum = 0.0;
    for (int64_t j = 0; j < d; j++) sum += (double)state[r * d + j] * state[r * d + j];
    const float weight = dense->is_residual && sum > 0.0 ? (float)(1.0 / sqrt(sum / (double)d)) : 1.0f;
    self->weight[r] = weight;
    for (int64_t j = 0; j < n_in; j++) self->x[r * n_in + j] *= weight;
    for (int64_t j = 0; j < n_out; j++) self->target[r * n_out + j] *= weight;
  }
}

static int64_t drop_padding(streams *self, const esp_batch *batch, int64_t n_in, int64_t n_out) {
  esp_batch_compact(batch, n_in, self->x);
  esp_batch_compact(batch, n_out, self->target);
  return esp_batch_compact(batch, 1, self->weight);
}

/* Advance the dense stream of one micro-batch and form x of the pruned one and the target: preserved outputs
 * of the dense state after the stage, less the pruned stream where the stage adds to it. */
static esp_status form_rows(streams *self, int stage, int64_t i, int64_t *rows) {
  esp_repair_job *job = self->job;
  const esp_stage *dense = &job->dense->stages[stage], *pruned = &job->pruned->stages[stage];
  const int64_t *kept = consumer_kept_outputs(job, stage);
  const int64_t n = pruned->consumer.outputs;
  esp_batch batch;
  read_batch(self, i, &batch);
  const int64_t all = esp_batch_count_rows(&batch);
  ESP_TRY(esp_produce_checked(job->dense, stage, &batch, self->dense[i], self->x_dense));
  ESP_TRY(esp_produce_checked(job->pruned, stage, &batch, self->pruned[i], self->x));
  esp_stage_consume(job->dense, stage, all, self->x_dense, self->dense[i]);
  for (int64_t r = 0; r < all; r++)
    for (int64_t j = 0; j < n; j++)
      self->target[r * n + j] = self->dense[i][r * dense->state_out + (kept ? kept[j] : j)] -
                                (pruned->is_residual ? self->pruned[i][r * n + j] : 0.0f);
  weigh_rows(self, dense, self->dense[i], all, pruned->consumer.inputs, n);
  esp_stage_finish(job->dense, stage, &batch, self->dense[i]);
  *rows = drop_padding(self, &batch, pruned->consumer.inputs, n);
  return ESP_OK;
}

static void compute_rms(const float *values, int64_t rows, int64_t n, double *rms) {
  for (int64_t j = 0; j < n; j++) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; r++) sum += (double)values[r * n + j] * values[r * n + j];
    rms[j] = sqrt(sum / (double)rows);
  }
}

/* The sums' scales come from micro-batch 0, which is always rank 0's, so they don't depend on the ranks. */
static void init_sums(streams *self, int stage, int64_t rows, regression parts[2]) {
  const esp_comm *comm = self->job->comm;
  const esp_linear *linear = &self->job->pruned->stages[stage].consumer;
  const int64_t n_in = linear->inputs, n_out = linear->outputs;
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

/* Micro-batch i of all is held out: the last of every eight, or the last of all if there are fewer. */
static bool is_held_out(const esp_shard *shard, int64_t i) {
  const int64_t every = shard->n_batches < HOLD_OUT ? shard->n_batches : HOLD_OUT;
  return every > 1 && i % every == every - 1;
}

static esp_status add_local(streams *self, int64_t i, int64_t rows, regression parts[2]) {
  const int part = is_held_out(self->job->shard, self->job->shard->first + i);
  return regression_add_local(&parts[part], rows, self->x, self->target, self->weight);
}

/* All micro-batches of this rank; the first is formed before the sums' scales are known. Collective. */
static esp_status sum_rows(streams *self, int stage, regression parts[2]) {
  const esp_comm *comm = self->job->comm;
  int64_t rows = 0;
  esp_status status = self->job->shard->count > 0 ? form_rows(self, stage, 0, &rows) : ESP_OK;
  status = esp_agree(comm, status);
  if (status != ESP_OK) return status;
  init_sums(self, stage, rows, parts);
  for (int64_t i = 0; i < self->job->shard->count && status == ESP_OK; i++) {
    if (i > 0) status = form_rows(self, stage, i, &rows);
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
static esp_status fit_sums(streams *self, consumer *target, regression parts[2], json_t *report) {
  float *start = ESP_NEW(float, target->n_out * target->n_kept);
  memcpy(start, target->fitted, (size_t)(target->n_out * target->n_kept) * sizeof *start);
  const correction_problem problem = {.comm = self->job->comm,
                                      .fit = &parts[0],
                                      .held_out = &parts[1],
                                      .start = start,
                                      .has_bias = target->bias != NULL};
  correction_choice choice = {0};
  esp_status status = ESP_OK;
  if (parts[1].samples > 0) status = correction_choose(&problem, &choice);
  regression_merge(&parts[0], &parts[1]);
  if (status == ESP_OK) status = correction_apply(&problem, &choice, target->fitted);
  if (status == ESP_OK && target->bias) regression_bias(&parts[0], target->fitted, target->bias);
  report_choice(&choice, report);
  esp_free(&start);
  return status;
}

static esp_status advance_pruned(streams *self, int stage) {
  esp_repair_job *job = self->job;
  for (int64_t i = 0; i < job->shard->count; i++) {
    esp_batch batch;
    read_batch(self, i, &batch);
    ESP_TRY(esp_produce_checked(job->pruned, stage, &batch, self->pruned[i], self->x));
    esp_stage_consume(job->pruned, stage, esp_batch_count_rows(&batch), self->x, self->pruned[i]);
    esp_stage_finish(job->pruned, stage, &batch, self->pruned[i]);
  }
  return ESP_OK;
}

static esp_status repair_stage(streams *self, int stage, json_t *report) {
  esp_repair_job *job = self->job;
  regression parts[2] = {0};
  consumer target;
  ESP_TRY(repair_load(job, stage));
  consumer_init(&target, job, stage);
  esp_status status = sum_rows(self, stage, parts);
  if (status == ESP_OK) status = fit_sums(self, &target, parts, report);
  if (status == ESP_OK) {
    consumer_store(&target, job, stage);
    status = esp_agree(job->comm, advance_pruned(self, stage));
  }
  for (int p = 0; p < 2; p++) regression_clear(&parts[p]);
  consumer_clear(&target);
  esp_model_unload(job->dense, stage);
  return status;
}

static esp_status apply(esp_repair_job *job) {
  ESP_TRY(repair_least_squares.apply(job));
  streams self = open_streams(job);
  esp_status status = esp_agree(job->comm, embed_local(&self));
  for (int stage = 0; stage < job->dense->n_stages && status == ESP_OK; stage++) {
    json_t *report = json_object();
    status = repair_stage(&self, stage, report);
    json_object_set_new(job->report, job->dense->stages[stage].name, report);
  }
  close_streams(&self);
  return status;
}

const esp_repair repair_sequential = {
    .name = "sequential",
    .summary = "least squares, then from the bottom to what is missing from the dense stream",
    .needs_covariance = true,
    .needs_data = true,
    .apply = apply};
