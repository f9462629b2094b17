/* What a training is made of, laid out, run and reported. */
#include "early_file.h"
#include "policy.h"
#include "room.h"
#include "trainable.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <inttypes.h>

enum { POINTS = 16, LEAST_POINTS = 4 };

/* What does not train is unloaded before the next stage. */
static esp_status own_stage_local(training *self, int stage) {
  esp_model *model = self->request->model;
  for (int w = 0; w < model->n_weights; w++) {
    esp_weight *weight = &model->weights[w];
    if (weight->stage != stage || !self->parts.trains[w] || weight->is_final) continue;
    ESP_TRY(esp_model_load_local(model, stage));
    esp_weight_keep(weight);
  }
  esp_model_unload(model, stage);
  return ESP_OK;
}

static esp_status own_trainable_local(training *self) {
  const int head = self->request->model->n_stages;
  for (int stage = ESP_STAGE_EMBED; stage <= head; stage++) ESP_TRY(own_stage_local(self, stage));
  return ESP_OK;
}

/* n / size, rounded up. */
static int64_t count_parts(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

/* Steps between measurements: as many as POINTS ask for; more where they would read more samples
 * than are trained on between them, as long as LEAST_POINTS are left. An epoch where nothing is
 * held out. */
static int64_t choose_every(const training *self) {
  const int64_t n = self->schedule.n, batch = self->request->options->batch;
  if (!self->held.objective) return self->per_epoch;
  const int64_t by_points = count_parts(n, POINTS), by_least = count_parts(n, LEAST_POINTS);
  const int64_t by_samples = count_parts(self->held.shard.n_order, batch);
  if (by_samples <= by_points) return by_points;
  return by_samples < by_least ? by_samples : by_least;
}

static void init_schedule(training *self) {
  const esp_train_options *options = self->request->options;
  self->per_epoch = count_parts(self->n_samples, options->batch);
  self->schedule.warmup = options->warmup;
  self->schedule.last = options->final_rate;
  self->schedule.n = options->steps > 0 ? options->steps : options->epochs * self->per_epoch;
  self->evaluate_every = options->evaluate_every > 0 ? options->evaluate_every : choose_every(self);
}

static void init_arrays(training *self) {
  for (int s = 0; s < self->method->n_slots; s++)
    self->slots[s] = ESP_NEW(float, self->parts.n_own);
  if (self->held.objective) self->best = ESP_NEW(float, self->parts.n_own);
  esp_shard_init_order(&self->shard, self->request->data, self->samples, self->n_samples,
                       self->request->options->micro_batch);
  if (self->request->masking) {
    self->masking = *self->request->masking;
    self->shard.masking = &self->masking;
  }
  pass_init(self);
  pruning_init(self->comm, &self->pruning);
  pruning_take_masks(&self->pruning, &self->parts);
}

static void init_report(training *self) {
  esp_train_report *report = &self->report;
  report->objective = self->objective->name;
  report->held_out_objective = self->held.objective ? self->held.objective->name : NULL;
  report->planned = self->schedule.n;
  report->parameters = esp_model_count_parameters(self->request->model);
  report->trainable = self->parts.n_values;
  esp_log_info("train: %" PRId64 " of %" PRId64 " parameters by %s, %" PRId64 " steps of %" PRId64
               " samples%s",
               report->trainable, report->parameters, report->objective, report->planned,
               self->request->options->batch,
               self->request->options->gradients[0] == 'f'
                   ? "; gradients are summed as floats: other rank counts give other bits"
                   : "");
}

static void finish_report(training *self, esp_train_report *report) {
  self->report.steps = self->progress.step;
  self->report.retries = self->progress.retries;
  self->report.epochs = (self->progress.step + self->per_epoch - 1) / self->per_epoch;
  const bool has_best = self->best && self->progress.best_step >= 0;
  self->report.best_step = has_best ? self->progress.best_step : self->progress.step;
  self->report.held_out_targets = self->held.targets;
  const policy *of = self->pruning.of;
  const bool is_final = !of || !of->is_final || of->is_final(self);
  pruning_report(self->comm, &self->pruning, is_final, &self->report);
  *report = self->report;
  self->report = (esp_train_report){0};
}

static esp_status lay_out_parts_local(training *self) {
  esp_model *model = self->request->model;
  bool *trains = ESP_NEW(bool, model->n_weights);
  pruning_prepare_model(model, self->request->policy);
  const esp_status status = trainable_resolve(model, self->request->options->trainable, trains);
  parts_init(&self->parts, self->comm, model, trains);
  return status;
}

esp_status train_lay_out_local(training *self) {
  const esp_train_request *request = self->request;
  ESP_TRY(check_request_local(request));
  ESP_TRY(optimizer_find(request->options->optimizer, &self->method));
  ESP_TRY(schedule_find(request->options->schedule, &self->schedule.form));
  self->objective = request->teacher ? esp_objective_with_teacher(request->model->task)
                                     : esp_objective_of(request->model->task);
  ESP_TRY(lay_out_parts_local(self));
  ESP_TRY(pruning_lay_out_local(&self->pruning, &self->parts, self->request->policy));
  ESP_TRY(held_out_init_local(self->comm, &self->held, request, &self->samples, &self->n_samples));
  init_schedule(self);
  pass_lay_out_local(self);
  ESP_TRY(early_check_local(self));
  const policy *of = self->pruning.of;
  if (of) ESP_TRY(policy_check_schedule_local(self));
  return of && of->check_local ? of->check_local(self) : ESP_OK;
}

void train_clear_layout(training *self) {
  esp_train_report_clear(&self->report);
  held_out_clear(&self->held);
  pruning_clear(&self->pruning);
  parts_clear(&self->parts);
  esp_free(&self->samples);
}

static esp_status init_local(training *self) {
  ESP_TRY(train_lay_out_local(self));
  return own_trainable_local(self);
}

void train_close(training *self) {
  pass_clear(self);
  for (int s = 0; s < MOST_SLOTS; s++) esp_free(&self->slots[s]);
  esp_free(&self->best);
  esp_shard_clear(&self->shard);
  train_clear_layout(self);
}

esp_status train_open(training *self, const esp_comm *comm, const esp_train_request *request) {
  *self = (training){.comm = comm, .request = request, .epoch = -1, .progress.best_step = -1};
  const esp_status status = esp_agree(comm, init_local(self));
  if (status == ESP_OK)
    init_arrays(self);
  else
    train_clear_layout(self);
  return status;
}

esp_status esp_train(const esp_comm *comm, const esp_train_request *request,
                     esp_train_report *report) {
  training self;
  *report = (esp_train_report){0};
  ESP_TRY(train_open(&self, comm, request));
  init_report(&self);
  room_warn_local(&self);
  const esp_status status = steps_run(&self);
  if (status == ESP_OK) finish_report(&self, report);
  train_close(&self);
  return status;
}
