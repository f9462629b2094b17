/* An objective over a data set, of a model and, where the objective asks for one, a teacher. */
#include "eval_internal.h"

#include "espalier/core/log.h"
#include "espalier/flow/measure.h"

#include <inttypes.h>
#include <math.h>

typedef struct evaluation {
  esp_model *model, *teacher; // teacher NULL: none
  const esp_dataset *data;
  const esp_objective *objective;
  const esp_eval_options *options;
  esp_tally tally;
} evaluation;

static esp_status run_local(const esp_comm *comm, evaluation *self) {
  const esp_measurement what = {.model = self->model,
                                .teacher = self->teacher,
                                .objective = self->objective,
                                .state_bytes = self->options ? self->options->state_bytes : 0};
  esp_shard shard;
  eval_shard_init(&shard, self->data, eval_deal_local(comm, self->data));
  const esp_status status = esp_measure_local(&what, &shard, &self->tally);
  esp_shard_clear(&shard);
  return status;
}

static double divide(double numerator, double denominator) {
  return denominator > 0.0 ? numerator / denominator : NAN;
}

/* 2 hits / (present + predicted), where these two are twice the hits and what is not correct. */
static double compute_f1(const esp_tally *tally) {
  const double hits = 2.0 * (double)tally->hits;
  return divide(hits, hits + (double)(tally->targets - tally->correct));
}

/* Losses beyond what the sums hold count as less, on whichever rank. Collective. */
static void warn_capped(const esp_comm *comm, const evaluation *self) {
  if (!self->objective->find_unit || !esp_agree_max_i64(comm, self->tally.is_capped)) return;
  esp_log_warn(
      "eval: %s: predictions more than 1000 times the labels' spread off count as that far; "
      "are the labels in the model's unit?",
      self->model->path ? self->model->path : "a model");
}

static esp_status run(const esp_comm *comm, evaluation *self, esp_quality *quality) {
  self->tally = esp_tally_start(self->objective, self->data);
  ESP_TRY(esp_agree(comm, run_local(comm, self)));
  esp_tally_reduce(comm, &self->tally);
  warn_capped(comm, self);
  *quality =
      (esp_quality){.samples = self->data->count,
                    .targets = self->tally.targets,
                    .correct = self->tally.correct,
                    .loss_nats = esp_tally_compute_loss(&self->tally),
                    .cosine = (double)self->tally.cosine * 0x1p-40 / (double)self->data->count,
                    .f1 = compute_f1(&self->tally)};
  if (self->model->task == ESP_TASK_REGRESS)
    quality->r2 = 1.0 - divide(quality->loss_nats, esp_targets_compute_variance(self->data));
  return ESP_OK;
}

static esp_status check_quality(const evaluation *self) {
  ESP_TRY(esp_model_check_data(self->model, self->data));
  if (self->objective->needs_teacher)
    return esp_fail(ESP_USAGE,
                    "an encoder without head is evaluated against another: give the dense model "
                    "first, then the pruned ones");
  return self->objective->check ? self->objective->check(self->model, self->data) : ESP_OK;
}

esp_status esp_eval_quality(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                            const esp_eval_options *options, esp_quality *quality) {
  evaluation self = {
      .model = model, .data = data, .objective = esp_objective_of(model->task), .options = options};
  ESP_TRY(esp_agree(comm, check_quality(&self)));
  return run(comm, &self, quality);
}

static esp_status check_cosine(const evaluation *self) {
  const esp_model *reference = self->teacher, *model = self->model;
  ESP_TRY(esp_model_check_data(model, self->data));
  if (reference->task == ESP_TASK_EMBED && reference->n_outputs == model->n_outputs) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "expected two encoders of the same hidden size, found %" PRId64 " and %" PRId64
                  "; compare a pruned model with the one it was cut from",
                  reference->n_outputs, model->n_outputs);
}

esp_status esp_eval_cosine(const esp_comm *comm, esp_model *const models[2],
                           const esp_dataset *data, const esp_eval_options *options,
                           esp_quality *quality) {
  evaluation self = {.model = models[1],
                     .teacher = models[0],
                     .data = data,
                     .objective = esp_objective_of(ESP_TASK_EMBED),
                     .options = options};
  ESP_TRY(esp_agree(comm, check_cosine(&self)));
  return run(comm, &self, quality);
}
