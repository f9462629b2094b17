/* Sequential repair of a model without some of its layers (ours): two streams from the bottom, and
 * every writer of the residual stream that stays is fitted to what is missing from the dense
 * stream. The last writer before a gap answers for the removed layers too: its target is the dense
 * stream behind them. Post-norm encoders normalise behind each writer, by a norm of its own, so
 * there a writer's target is the stream at its own depth, and the next one makes good the gap. */
#include "repair_cost.h"
#include "streams.h"

#include "espalier/core/memory.h"
#include "espalier/model/cost.h"
#include "espalier/model/family.h"

static const repair_pass pass = {"layers", consumer_count_unknowns_local};

/* A writer of the smaller model, and the dense stage behind which the streams should agree. */
typedef struct layer_fit {
  stream_fit base;
  int target;
} layer_fit;

typedef struct layer_repair {
  streams streams;
  const int64_t *kept;
  int passed; // dense stages that the dense stream has gone through
} layer_repair;

static int find_own(const layer_repair *self, int stage) {
  return (int)self->kept[stage / ESP_LAYER_STAGES] * ESP_LAYER_STAGES + stage % ESP_LAYER_STAGES;
}

static int find_target(const layer_repair *self, int stage) {
  const esp_repair_job *job = self->streams.job;
  if (job->dense->family->finish) return find_own(self, stage);
  if (stage + 1 == job->pruned->n_stages) return job->dense->n_stages - 1;
  return find_own(self, stage + 1) - 1;
}

/* Advance the dense stream of one micro-batch through the target's stage, and form x of the pruned
 * one and what is missing from the dense stream. */
static esp_status form_rows_local(streams *self, const stream_fit *fit, int64_t i, int64_t *rows) {
  const int target = ((const layer_fit *)fit)->target;
  const esp_step dense = esp_stream_step(&self->dense, target, i);
  const esp_step pruned = esp_stream_step(&self->pruned, fit->stage, i);
  const int64_t all = esp_call_count_rows(&dense.call), n = all * fit->n_out;
  ESP_TRY(esp_step_produce(&dense, self->x_dense));
  ESP_TRY(esp_step_produce(&pruned, self->x));
  streams_note_local(self, fit->stage, i);
  esp_step_consume(&dense, self->x_dense);
  for (int64_t k = 0; k < n; k++) self->target[k] = dense.next[k] - pruned.state[k];
  streams_weigh_rows_local(self, &self->job->dense->stages[target], dense.next, all, fit);
  esp_step_finish(&dense);
  *rows = streams_drop_padding_local(self, &dense.call.batch, fit);
  return ESP_OK;
}

/* Between a linear map's own layout and (outputs, inputs). */
static void copy_weights(const esp_linear *linear, float *own, float *plain, bool is_read) {
  for (int64_t i = 0; i < linear->outputs; i++)
    for (int64_t j = 0; j < linear->inputs; j++) {
      float *const a = &own[linear_at(linear, i, j)], *const b = &plain[i * linear->inputs + j];
      *(is_read ? b : a) = *(is_read ? a : b);
    }
}

static void store(esp_model *pruned, const esp_linear *linear, const stream_fit *fit) {
  copy_weights(linear, esp_weight_own(&pruned->weights[linear->weight]), fit->weights, false);
  if (!fit->bias) return;
  float *bias = esp_weight_own(&pruned->weights[linear->bias]);
  for (int64_t i = 0; i < linear->outputs; i++) bias[i] = fit->bias[i];
}

static esp_status fit_writer(layer_repair *self, int stage, esp_repair_fit *chosen) {
  esp_model *pruned = self->streams.job->pruned;
  const esp_linear *linear = &pruned->stages[stage].consumer;
  layer_fit fit = {.base = {.stage = stage,
                            .n_in = linear->inputs,
                            .n_out = linear->outputs,
                            .weights = ESP_NEW(float, linear->outputs * linear->inputs),
                            .bias = linear->bias >= 0 ? ESP_NEW(float, linear->outputs) : NULL,
                            .form = form_rows_local},
                   .target = find_target(self, stage)};
  copy_weights(linear, pruned->weights[linear->weight].value, fit.base.weights, true);
  for (int64_t i = 0; fit.base.bias && i < linear->outputs; i++)
    fit.base.bias[i] = pruned->weights[linear->bias].value[i];
  streams_make_room_local(&self->streams, stage);
  const esp_status status = streams_fit(&self->streams, &fit.base, chosen);
  if (status == ESP_OK) store(pruned, linear, &fit.base);
  esp_free(&fit.base.weights);
  esp_free(&fit.base.bias);
  return status;
}

/* The dense stream, up to a stage. */
static esp_status pass_dense_local(layer_repair *self, int stage) {
  esp_stream *dense = &self->streams.dense;
  for (; self->passed < stage; self->passed++) {
    ESP_TRY(esp_model_load_local(dense->model, self->passed));
    ESP_TRY(esp_stream_advance(dense, self->passed, self->streams.x));
    esp_stream_unload(dense, self->passed);
  }
  return ESP_OK;
}

static esp_status load_local(layer_repair *self, int stage, int target) {
  ESP_TRY(pass_dense_local(self, target));
  ESP_TRY(esp_model_load_local(self->streams.job->dense, target));
  return esp_model_load_local(self->streams.job->pruned, stage);
}

/* The weights of an earlier run; the dense stream goes through the target as by form_rows. */
static esp_status restore_writer(layer_repair *self, int stage, int target) {
  esp_repair_job *job = self->streams.job;
  ESP_TRY(repair_restore(job, &pass, stage));
  ESP_TRY(esp_agree(job->comm, pass_dense_local(self, target + 1)));
  ESP_TRY(esp_stream_load(job->comm, &self->streams.pruned, stage));
  return esp_agree(job->comm, esp_stream_advance(&self->streams.pruned, stage, self->streams.x));
}

static esp_status fit_anew(layer_repair *self, int stage, int target) {
  esp_repair_job *job = self->streams.job;
  esp_repair_fit chosen = {0};
  ESP_TRY(esp_agree(job->comm, load_local(self, stage, target)));
  const esp_status status = fit_writer(self, stage, &chosen);
  esp_repair_report_set(job->report, job->dense->stages[find_own(self, stage)].name, &chosen);
  self->passed = target + 1;
  if (status == ESP_OK) streams_advance_pruned_local(&self->streams, stage);
  esp_stream_unload(&self->streams.dense, target);
  return status;
}

static esp_status repair_stage(layer_repair *self, int stage) {
  esp_repair_job *job = self->streams.job;
  esp_stream *pruned = &self->streams.pruned;
  const int target = find_target(self, stage);
  const bool is_done = repair_is_done_local(job, &pass, stage);
  const esp_status status =
      is_done ? restore_writer(self, stage, target) : fit_anew(self, stage, target);
  esp_stream_unload(pruned, stage);
  return status == ESP_OK && !is_done ? repair_save(job, &pass, stage) : status;
}

esp_status layers_repair(esp_repair_job *job, const int64_t *kept) {
  layer_repair self = {.kept = kept};
  bool all_done;
  ESP_TRY(repair_restore_all(job, &pass, job->pruned->n_stages, &all_done));
  if (all_done) return ESP_OK;
  esp_status status = streams_open(&self.streams, job);
  for (int stage = 0; stage < job->pruned->n_stages && status == ESP_OK; stage++)
    status = repair_stage(&self, stage);
  streams_close_local(&self.streams);
  return status;
}

/* Every writer is fitted whole, beside its stage and the dense one that it follows, and stays. */
static void add_writer_cost(const esp_repair_shape *shape, int stage, esp_cost *cost) {
  const esp_model *pruned = shape->pruned;
  const fit_size size = consumer_size(pruned, stage);
  const double values = fit_value_bytes(size);
  const double held =
      2.0 * esp_model_loaded_bytes(pruned, stage) + values + streams_kept_bytes(shape, size);
  esp_cost_hold(cost, held);
  streams_add_fit_cost(shape, size,
                       esp_stage_scratch_bytes(pruned, stage, (double)shape->samples->batch_rows),
                       cost);
  esp_cost_hold(cost, values - held);
  streams_add_work(shape, pruned, stage, &cost->work);
}

void layers_add_cost(const esp_repair_shape *shape, esp_cost *cost) {
  const double held = streams_bytes(shape);
  esp_cost_hold(cost, held);
  for (int s = 0; s < shape->pruned->n_stages; s++) add_writer_cost(shape, s, cost);
  esp_cost_hold(cost, -held);
  streams_add_dense_work(shape, &cost->work);
}
