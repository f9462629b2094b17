#include "espalier/flow/stream.h"

#include "espalier/core/finite.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static int64_t count_state_floats(const esp_stream *self) {
  return self->rows * self->model->max_state;
}

void esp_stream_init(esp_stream *self, const esp_stream_options *options) {
  *self = (esp_stream){.model = options->model,
                       .shard = options->shard,
                       .is_checked = options->is_checked,
                       .keeps_states = options->keeps_states,
                       .count = options->count,
                       .most = options->count,
                       .numbers = ESP_NEW(int64_t, options->count),
                       .rows = esp_shard_count_rows(options->shard)};
  const int64_t n = self->count * count_state_floats(self);
  self->workspace = options->workspace ? options->workspace : &self->own;
  for (int64_t i = 0; i < self->count; i++)
    self->numbers[i] = options->numbers ? options->numbers[i] : options->first + i;
  self->states = ESP_NEW(float, self->keeps_states ? (self->model->n_stages + 1) * n : n);
  if (self->keeps_states) self->dstates = ESP_NEW(float, n);
}

void esp_stream_turn(esp_stream *self, int64_t first, int64_t count) {
  ESP_ASSERT(count <= self->most);
  self->count = count;
  for (int64_t i = 0; i < count; i++) self->numbers[i] = first + i;
}

void esp_stream_clear(esp_stream *self) {
  esp_free(&self->numbers);
  esp_free(&self->states);
  esp_free(&self->dstates);
  esp_workspace_clear(&self->own);
}

esp_status esp_stream_load(const esp_comm *comm, const esp_stream *self, int stage) {
  return esp_agree(comm, esp_model_load_local(self->model, stage));
}

void esp_stream_unload(esp_stream *self, int stage) {
  esp_model_unload(self->model, stage);
  esp_stream_free_scratch(self);
}

void esp_stream_free_scratch(esp_stream *self) {
  esp_workspace_clear(self->workspace);
}

float *esp_stream_find_state(const esp_stream *self, int stage, int64_t i) {
  const int64_t depth = self->keeps_states && stage > 0 ? stage : 0;
  return self->states + (depth * self->count + i) * count_state_floats(self);
}

esp_step esp_stream_step(esp_stream *self, int stage, int64_t i) {
  const bool has_next = self->keeps_states && stage >= 0 && stage < self->model->n_stages;
  esp_step step = {.call = {.model = self->model, .stage = stage, .workspace = self->workspace},
                   .state = esp_stream_find_state(self, stage, i),
                   .is_checked = self->is_checked};
  esp_shard_read(self->shard, self->numbers[i], &step.call.batch);
  step.next = has_next ? esp_stream_find_state(self, stage + 1, i) : step.state;
  if (self->keeps_states) step.dstate = self->dstates + i * count_state_floats(self);
  return step;
}

esp_status esp_check_finite(const char *site, const float *x, int64_t rows, int64_t features) {
  const int64_t n = rows * features, i = esp_find_beyond(x, n, INFINITY);
  if (i == n) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "site '%s': expected finite activations, found %g in feature %lld; look for "
                  "broken weights or data out of range",
                  site, (double)x[i], (long long)(i % features));
}

static const esp_stage *get_stage(const esp_step *self) {
  return &self->call.model->stages[self->call.stage];
}

esp_status esp_step_produce(const esp_step *self, float *x) {
  const esp_stage *stage = get_stage(self);
  esp_call_produce(&self->call, self->state, x);
  if (!self->is_checked) return ESP_OK;
  return esp_check_finite(stage->name, x, esp_call_count_rows(&self->call),
                          esp_stage_features(stage));
}

void esp_step_consume(const esp_step *self, const float *x) {
  const esp_stage *stage = get_stage(self);
  const int64_t n = esp_call_count_rows(&self->call) * stage->state_in;
  if (stage->is_residual && self->next != self->state)
    memcpy(self->next, self->state, (size_t)n * sizeof *self->next);
  esp_call_consume(&self->call, x, self->next);
}

void esp_step_finish(const esp_step *self) {
  esp_call_finish(&self->call, self->next);
}

static esp_status advance(const esp_step *self, float *x) {
  ESP_TRY(esp_step_produce(self, x));
  esp_step_consume(self, x);
  esp_step_finish(self);
  return ESP_OK;
}

esp_status esp_step_advance(const esp_step *self, float *x) {
  const int64_t n = esp_call_count_rows(&self->call) * esp_stage_features(get_stage(self));
  if (x) return advance(self, x);
  const esp_workspace_mark mark = esp_workspace_set_mark(self->call.workspace);
  const esp_status status = advance(self, ESP_TAKE(self->call.workspace, float, n));
  esp_workspace_release(self->call.workspace, mark);
  return status;
}

void esp_step_read(const esp_step *self, float *normed) {
  esp_call_read(&self->call, self->state, normed);
}

esp_status esp_step_run_head(const esp_step *self, float *logits) {
  const esp_model *model = self->call.model;
  esp_call_head(&self->call, self->state, logits);
  if (!self->is_checked) return ESP_OK;
  return esp_check_finite("logits", logits, esp_batch_count_outputs(model, &self->call.batch),
                          self->call.only ? self->call.only->count : model->n_outputs);
}

esp_status esp_stream_embed(esp_stream *self) {
  ESP_TRY(esp_model_load_embedding_local(self->model));
  for (int64_t i = 0; i < self->count; i++) {
    const esp_step step = esp_stream_step(self, ESP_STAGE_EMBED, i);
    esp_call_embed(&step.call, step.state);
  }
  esp_stream_unload(self, ESP_STAGE_EMBED);
  return ESP_OK;
}

esp_status esp_stream_advance(esp_stream *self, int stage, float *x) {
  for (int64_t i = 0; i < self->count; i++) {
    const esp_step step = esp_stream_step(self, stage, i);
    ESP_TRY(esp_step_advance(&step, x));
  }
  return ESP_OK;
}

esp_status esp_stream_run(esp_stream *self, float *x) {
  esp_status status = esp_stream_embed(self);
  for (int stage = 0; stage < self->model->n_stages && status == ESP_OK; stage++) {
    status = esp_model_load_local(self->model, stage);
    if (status == ESP_OK) status = esp_stream_advance(self, stage, x);
    esp_stream_unload(self, stage);
  }
  return status;
}

esp_backward esp_step_return(const esp_step *self, float *x, float *const *gradients) {
  const esp_backward back = {.call = self->call, .state = self->state, .gradients = gradients};
  esp_backward with_x = back, remaking = back;
  if (get_stage(self)->is_residual && !self->call.model->family->finish_backward) {
    const int consumer = get_stage(self)->consumer.weight;
    if (gradients && gradients[consumer]) remaking.remade = x;
    return remaking;
  }
  esp_call_produce(&self->call, self->state, x);
  with_x.x = x;
  return with_x;
}

void esp_step_return_head(const esp_step *self, const float *dlogits, float *const *gradients) {
  const esp_backward backward = {.call = self->call, .state = self->state, .gradients = gradients};
  esp_backward_head(&backward, dlogits, self->dstate);
}

void esp_stream_return(esp_stream *self, int stage, float *x, float *const *gradients) {
  for (int64_t i = 0; i < self->count; i++) {
    const esp_step step = esp_stream_step(self, stage, i);
    const esp_backward backward = esp_step_return(&step, x, gradients);
    esp_backward_finish(&backward, step.dstate);
    esp_backward_consume(&backward, step.dstate);
  }
}
