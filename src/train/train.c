#include "train_internal.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { STREAM_ORDER = 1 << 20 };

static double schedule_rate(const training *self, int64_t step, int64_t n_steps) {
  const double warm = self->options->warmup * (double)n_steps, at = (double)step + 0.5;
  if (at < warm) return self->options->rate * at / warm;
  return self->options->rate * 0.5 *
         (1.0 + cos(3.141592653589793 * (at - warm) / ((double)n_steps - warm)));
}

static void update_weights(training *self, int64_t n_steps) {
  const double rate = schedule_rate(self, self->step, n_steps);
  const float *gradient = self->gradient.mean;
  for (int i = 0; i < self->model->n_weights; i++) {
    esp_weight *weight = &self->model->weights[i];
    const int64_t n = esp_weight_count(weight);
    self->method->apply(&(optimizer_step){
        .n = n,
        .number = self->step + 1,
        .rate = rate,
        .weight_decay = weight->rank > 1 ? self->options->weight_decay : 0.0,
        .momentum = self->options->momentum,
        .gradient = gradient,
        .parameters = weight->value,
        .slots = {self->slots[0][i], self->method->n_slots > 1 ? self->slots[1][i] : NULL}});
    gradient += n;
  }
  self->step++;
}

static esp_status fail_diverged(const training *self, const char *what) {
  return esp_fail(ESP_NUMERIC,
                  "training diverged in step %" PRId64 ": %s; lower --rate or raise "
                  "--warmup",
                  self->step + 1, what);
}

static esp_status run_micro_batch_local(training *self, const int64_t *order, int64_t begin,
                                        int64_t count, esp_tally *tally) {
  esp_batch batch;
  esp_tape *tape = &self->tape;
  esp_dataset_read(self->data, order, begin, count, &self->buffer, &batch);
  esp_tape_forward(self->model, &batch, tape);
  self->objective->measure(&(esp_outputs){.model = self->model,
                                          .batch = &batch,
                                          .logits = tape->logits,
                                          .dlogits = tape->dlogits,
                                          .workspace = &tape->workspace},
                           tally);
  if (tally->is_undefined || tally->is_capped)
    return fail_diverged(self, "the loss is not finite or above 1e6 nats a sample");
  gradients_zero_micro(&self->gradient);
  esp_tape_backward(self->model, &batch, tape, self->gradient.parts);
  if (gradients_add_local(&self->gradient)) return ESP_OK;
  return fail_diverged(self, "a gradient is not finite or too large");
}

/* One step: this rank's micro-batches of the batch [begin, end). Collective. */
static esp_status run_batch(training *self, const int64_t *order, int64_t begin, int64_t end,
                            esp_tally *tally) {
  const int64_t size = self->options->micro_batch, n = (end - begin + size - 1) / size;
  const esp_comm *comm = self->comm;
  const int64_t last = esp_block_begin(n, comm->size, comm->rank + 1);
  esp_status status = ESP_OK;
  for (int64_t m = esp_block_begin(n, comm->size, comm->rank); m < last && status == ESP_OK; m++) {
    const int64_t at = begin + m * size;
    status = run_micro_batch_local(self, order, at, at + size < end ? size : end - at, tally);
  }
  ESP_TRY(esp_agree(comm, status));
  gradients_reduce(comm, &self->gradient, end - begin);
  return ESP_OK;
}

static esp_status run_epoch(training *self, esp_progress *progress, esp_tally *tally) {
  const int64_t n = self->data->count, batch = self->options->batch;
  const int64_t per_epoch = (n + batch - 1) / batch, n_steps = per_epoch * self->options->epochs;
  int64_t *order = ESP_NEW(int64_t, n);
  self->step = self->epoch * per_epoch;
  esp_rng_permutation(self->options->seed, STREAM_ORDER + (uint64_t)self->epoch, n, order);
  esp_status status = ESP_OK;
  for (int64_t b = 0; b < per_epoch && status == ESP_OK; b++) {
    const int64_t begin = b * batch, end = begin + batch < n ? begin + batch : n;
    status = run_batch(self, order, begin, end, tally);
    if (status == ESP_OK) update_weights(self, n_steps);
    esp_progress_update(progress, self->epoch * n + end, NULL);
  }
  esp_free(&order);
  return status;
}

static void finish_epoch(training *self, esp_tally *tally, json_t *report) {
  esp_tally_reduce(self->comm, tally);
  const double loss = esp_tally_compute_loss(tally);
  const double accuracy = (double)tally->correct / (double)tally->targets;
  self->epoch++;
  esp_log_info("epoch %" PRId64 " of %" PRId64 ": loss %.4f nats, accuracy %.2f %%", self->epoch,
               self->options->epochs, loss, 100.0 * accuracy);
  json_object_set_new(report, "epochs", json_integer(self->epoch));
  json_object_set_new(report, "steps", json_integer(self->step));
  json_object_set_new(report, "training_loss_nats", esp_json_real(loss));
  json_object_set_new(report, "training_accuracy", esp_json_real(accuracy));
}

static esp_status run_epochs(training *self, json_t *report) {
  esp_progress progress;
  esp_progress_init(&progress, "train", "samples", self->data->count * self->options->epochs);
  while (self->epoch < self->options->epochs) {
    esp_tally tally = {0};
    ESP_TRY(run_epoch(self, &progress, &tally));
    esp_progress_clear(&progress);
    finish_epoch(self, &tally, report);
    if (self->options->checkpoint && self->epoch < self->options->epochs)
      ESP_TRY(checkpoint_save(self));
    if (self->epoch == self->options->stop_after && self->epoch < self->options->epochs)
      return esp_fail(ESP_INTERRUPTED,
                      "training stopped after epoch %" PRId64 " of %" PRId64 " as asked; resume it",
                      self->epoch, self->options->epochs);
  }
  return ESP_OK;
}

static void init_training(training *self) {
  const esp_model *model = self->model;
  for (int s = 0; s < self->method->n_slots; s++) {
    self->slots[s] = ESP_NEW(float *, model->n_weights);
    for (int i = 0; i < model->n_weights; i++)
      self->slots[s][i] = ESP_NEW(float, esp_weight_count(&model->weights[i]));
  }
  const int64_t size = self->options->micro_batch;
  gradients_init(&self->gradient, model, (self->options->batch + size - 1) / size);
  esp_tape_init(&self->tape, model, self->options->micro_batch);
}

static void clear_training(training *self) {
  for (int s = 0; s < self->method->n_slots; s++) {
    for (int i = 0; i < self->model->n_weights; i++) esp_free(&self->slots[s][i]);
    esp_free(&self->slots[s]);
  }
  gradients_clear(&self->gradient);
  esp_tape_clear(&self->tape, self->model);
  esp_batch_buffer_clear(&self->buffer);
}

static esp_status check_local(const esp_model *model, const esp_dataset *data) {
  if (!model->family->embed_backward)
    return esp_fail(ESP_USAGE, "family '%s' cannot be trained", model->family->name);
  if (model->n_outputs < 2)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected at least 2 classes, found %" PRId64
                    ": there is nothing to tell apart; give data of more classes",
                    data->path, model->n_outputs);
  if (data->kind != model->family->input || data->width != model->n_inputs || data->classes < 1 ||
      data->classes > model->n_outputs)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected %" PRId64 " inputs a sample and labels below %" PRId64
                    ", found %" PRId64 " inputs and %d classes",
                    data->path, model->n_inputs, model->n_outputs, data->width, data->classes);
  return ESP_OK;
}

esp_status esp_train(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                     const esp_train_options *options, json_t *report) {
  training self = {.comm = comm, .model = model, .data = data, .options = options};
  ESP_TRY(esp_agree(comm, check_local(model, data)));
  ESP_TRY(optimizer_find(options->optimizer, &self.method));
  self.objective = esp_objective_of(model->task);
  init_training(&self);
  esp_status status = ESP_OK;
  bool found = false;
  if (options->resume) status = checkpoint_load(&self, &found);
  if (found) esp_log_info("going on after epoch %" PRId64, self.epoch);
  if (status == ESP_OK) status = run_epochs(&self, report);
  clear_training(&self);
  return status;
}
