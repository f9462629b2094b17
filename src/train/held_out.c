#include "held_out.h"

#include "espalier/core/memory.h"
#include "espalier/flow/measure.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const double ERRORS = 3.0; // standard errors that an improvement has to exceed

/* The objective of the model's task; where the data does not have what it needs, that which is
 * descended. */
static const esp_objective *choose_objective(const esp_train_request *request,
                                             const esp_dataset *data) {
  const esp_objective *own = esp_objective_of(request->model->task);
  const bool fits = !own->check || own->check(request->model, data) == ESP_OK;
  return fits || !request->teacher ? own : esp_objective_with_teacher(request->model->task);
}

/* Every k-th group of a micro-batch's samples; k 0: none. */
static bool is_held(const esp_train_options *options, int64_t sample) {
  const int64_t k = options->hold_out;
  return k > 0 && sample / options->micro_batch % k == k - 1;
}

static int64_t list_samples(const esp_train_options *options, int64_t count, bool held,
                            int64_t *samples) {
  int64_t n = 0;
  for (int64_t s = 0; s < count; s++)
    if (is_held(options, s) == held) samples[n++] = s;
  return n;
}

int64_t held_out_count_rest_local(const esp_train_options *options, const esp_dataset *data,
                                  const esp_dataset *other) {
  int64_t n = 0;
  for (int64_t s = 0; s < data->count; s++) n += other || !is_held(options, s);
  return n;
}

static esp_status fail_few(const esp_train_request *request) {
  if (request->options->hold_out == 1)
    return esp_fail(ESP_USAGE, "--hold-out 1: expected 2 or more, found that every micro-batch is "
                               "held out; give --hold-out 8, or 0 to do without");
  return esp_fail(ESP_USAGE,
                  "%s: expected at least %" PRId64 " micro-batches of %" PRId64
                  " samples to hold every %" PRId64 "th out, found %" PRId64
                  " samples; give --validation DATA, a smaller --micro-batch or --hold-out, or "
                  "--hold-out 0 to do without",
                  request->data->path, request->options->hold_out, request->options->micro_batch,
                  request->options->hold_out, request->data->count);
}

/* A part of the data; false: none is left. */
static bool hold_out_part(train_held_out *self) {
  const esp_dataset *data = self->request->data;
  const esp_train_options *options = self->request->options;
  int64_t *held = ESP_NEW(int64_t, data->count);
  const int64_t n = list_samples(options, data->count, true, held);
  if (n > 0) esp_shard_init_order(&self->shard, data, held, n, options->micro_batch);
  esp_free(&held);
  return n > 0;
}

static void hold_out_other(train_held_out *self) {
  const esp_dataset *data = self->request->held_out;
  int64_t *all = ESP_NEW(int64_t, data->count);
  for (int64_t s = 0; s < data->count; s++) all[s] = s;
  esp_shard_init_order(&self->shard, data, all, data->count, self->request->options->micro_batch);
  esp_free(&all);
}

static void prepare(const esp_comm *comm, train_held_out *self) {
  const esp_train_request *request = self->request;
  esp_shard_deal_local(comm, &self->shard, (esp_sample_range){0, self->shard.n_order});
  self->objective = choose_objective(request, self->shard.data);
  self->now = ESP_NEW(int64_t, 2 * self->shard.n_batches);
  self->before = ESP_NEW(int64_t, 2 * self->shard.n_batches);
  if (!request->masking || request->teacher) return; // with a teacher: as eval measures
  self->masking = *request->masking;
  self->masking.pass = 0;
  self->shard.masking = &self->masking;
}

esp_status held_out_init_local(const esp_comm *comm, train_held_out *self,
                               const esp_train_request *request, int64_t **samples, int64_t *n) {
  esp_train_options all = *request->options;
  if (request->held_out) all.hold_out = 0;
  *self = (train_held_out){.request = request};
  *samples = ESP_NEW(int64_t, request->data->count);
  *n = list_samples(&all, request->data->count, false, *samples);
  if (request->held_out)
    hold_out_other(self);
  else if (all.hold_out == 0)
    return ESP_OK;
  else if (!hold_out_part(self) || *n == 0)
    return fail_few(request);
  prepare(comm, self);
  return ESP_OK;
}

void held_out_clear(train_held_out *self) {
  esp_free(&self->now);
  esp_free(&self->before);
  esp_shard_clear(&self->shard);
}

bool held_out_rounds(const train_parts *parts, int weight) {
  return parts->trains[weight] && parts->model->weights[weight].type != ESP_F32 &&
         parts->model->weights[weight].type != ESP_F64;
}

void held_out_round_local(const train_parts *parts) {
  enum { BLOCK = 1024 };
  uint16_t halves[BLOCK];
  for (int w = 0; w < parts->model->n_weights; w++) {
    const esp_weight *weight = &parts->model->weights[w];
    const int64_t count = held_out_rounds(parts, w) ? esp_weight_count(weight) : 0;
    for (int64_t i = 0; i < count; i += BLOCK) {
      const int64_t n = count - i < BLOCK ? count - i : BLOCK;
      esp_dtype_from_f32(weight->type, weight->value + i, n, halves);
      esp_dtype_to_f32(weight->type, halves, n, weight->value + i);
    }
  }
}

static esp_status measure(const esp_comm *comm, train_held_out *self, double *loss) {
  esp_tally tally = esp_tally_start(self->objective, self->shard.data);
  const esp_measurement what = {.model = self->request->model,
                                .teacher =
                                    self->objective->needs_teacher ? self->request->teacher : NULL,
                                .objective = self->objective,
                                .each = self->now};
  memset(self->now, 0, (size_t)(2 * self->shard.n_batches) * sizeof *self->now);
  ESP_TRY(esp_agree(comm, esp_measure_local(&what, &self->shard, &tally)));
  esp_tally_reduce(comm, &tally);
  esp_allreduce_sum_i64(comm, self->now, 2 * self->shard.n_batches);
  self->unit = tally.unit > 0.0 ? tally.unit : 1.0;
  self->targets = tally.targets;
  *loss = esp_tally_compute_loss(&tally);
  if (tally.targets > 0) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected held-out samples with something to predict, found none; give "
                  "--validation DATA",
                  self->shard.data->path);
}

void held_out_keep_local(train_held_out *self) {
  memcpy(self->before, self->now, (size_t)(2 * self->shard.n_batches) * sizeof *self->now);
}

/* The mean is a ratio of sums over micro-batches, change by targets, and so is its error [Cochran,
 * "Sampling techniques", 1977, section 6.4]. */
held_out_change held_out_compare_local(const train_held_out *self) {
  const int64_t n = self->shard.n_batches;
  int64_t change = 0;
  double squares = 0.0;
  for (int64_t i = 0; i < n; i++) change += self->now[2 * i] - self->before[2 * i];
  const double targets = (double)self->targets, mean = (double)change / targets;
  for (int64_t i = 0; i < n; i++) {
    const double rest =
        (double)(self->now[2 * i] - self->before[2 * i]) - mean * (double)self->now[2 * i + 1];
    squares += rest * rest;
  }
  const double error = n > 1 ? sqrt(squares * (double)n / (double)(n - 1)) / targets : INFINITY;
  return (held_out_change){0x1p-20 * self->unit * mean, 0x1p-20 * self->unit * error};
}

bool held_out_is_clear_local(const train_held_out *self) {
  const held_out_change change = held_out_compare_local(self);
  return isfinite(change.error) ? change.mean + ERRORS * change.error < 0.0 : change.mean < 0.0;
}

esp_status held_out_measure(const esp_comm *comm, train_held_out *self, const train_parts *parts,
                            double *loss) {
  bool any = false;
  for (int w = 0; w < parts->model->n_weights; w++) any |= held_out_rounds(parts, w);
  if (!any) return measure(comm, self, loss);
  float *exact = ESP_NEW(float, parts->n_own);
  parts_copy_own_local(parts, exact);
  held_out_round_local(parts);
  const esp_status status = measure(comm, self, loss);
  parts_gather(comm, parts, exact);
  esp_free(&exact);
  return status;
}
