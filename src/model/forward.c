#include "espalier/model/forward.h"

#include "espalier/core/memory.h"

#include <string.h>

int64_t esp_batch_count_rows(const esp_batch *batch) {
  return batch->kind == ESP_DATA_TOKENS ? batch->count * batch->width : batch->count;
}

int64_t esp_batch_compact(const esp_batch *batch, int64_t width, float *x) {
  const int64_t rows = esp_batch_count_rows(batch);
  if (batch->kind != ESP_DATA_TOKENS || !batch->lengths) return rows;
  int64_t n = 0;
  for (int64_t i = 0; i < batch->count; i++) {
    const int64_t valid = batch->lengths[i];
    memmove(x + n * width, x + i * batch->width * width, (size_t)(valid * width) * sizeof *x);
    n += valid;
  }
  return n;
}

int64_t esp_batch_count_outputs(const esp_model *model, const esp_batch *batch) {
  return esp_model_is_by_sample(model) ? batch->count : esp_batch_count_rows(batch);
}

bool esp_model_is_by_sample(const esp_model *model) {
  return model->task == ESP_TASK_CLASSIFY || model->task == ESP_TASK_REGRESS ||
         model->task == ESP_TASK_MULTI_LABEL;
}

void esp_call_embed(const esp_call *call, float *state) {
  const esp_workspace_mark mark = esp_workspace_set_mark(call->workspace);
  call->model->family->embed(call, state);
  esp_workspace_release(call->workspace, mark);
}

void esp_call_produce(const esp_call *call, const float *state, float *x) {
  const esp_workspace_mark mark = esp_workspace_set_mark(call->workspace);
  call->model->family->produce(call, state, x);
  esp_workspace_release(call->workspace, mark);
}

void esp_call_read(const esp_call *call, const float *state, float *normed) {
  const esp_workspace_mark mark = esp_workspace_set_mark(call->workspace);
  call->model->family->read(call, state, normed);
  esp_workspace_release(call->workspace, mark);
}

void esp_call_consume(const esp_call *call, const float *x, float *state) {
  const esp_stage *stage = &call->model->stages[call->stage];
  esp_linear_forward(call->model, &stage->consumer, esp_call_count_rows(call), x, state,
                     stage->is_residual);
}

void esp_call_finish(const esp_call *call, float *state) {
  const esp_workspace_mark mark = esp_workspace_set_mark(call->workspace);
  if (call->model->family->finish) call->model->family->finish(call, state);
  esp_workspace_release(call->workspace, mark);
}

void esp_call_head(const esp_call *call, const float *state, float *logits) {
  const esp_workspace_mark mark = esp_workspace_set_mark(call->workspace);
  call->model->family->head(call, state, logits);
  esp_workspace_release(call->workspace, mark);
}

void esp_pass_init(esp_pass *self, const esp_model *model, int64_t rows) {
  *self = (esp_pass){.rows = rows,
                     .state = ESP_NEW(float, rows * model->max_state),
                     .x = ESP_NEW(float, rows * model->max_features),
                     .logits = ESP_NEW(float, rows * model->n_outputs)};
}

void esp_pass_clear(esp_pass *self) {
  esp_free(&self->state);
  esp_free(&self->x);
  esp_free(&self->logits);
  esp_workspace_clear(&self->workspace);
}

static void run_stages(esp_call *call, esp_pass *pass) {
  ESP_ASSERT(esp_call_count_rows(call) <= pass->rows);
  esp_call_embed(call, pass->state);
  for (call->stage = 0; call->stage < call->model->n_stages; call->stage++) {
    esp_call_produce(call, pass->state, pass->x);
    esp_call_consume(call, pass->x, pass->state);
    esp_call_finish(call, pass->state);
  }
}

void esp_forward(const esp_model *model, const esp_batch *batch, esp_pass *self) {
  esp_call call = {
      .model = model, .stage = ESP_STAGE_EMBED, .batch = *batch, .workspace = &self->workspace};
  run_stages(&call, self);
  esp_call_head(&call, self->state, self->logits);
}

/* The state of the last token of a sequence goes to the front, where only earlier ones were. */
static void keep_last_tokens(const esp_batch *batch, int64_t width, float *state) {
  for (int64_t i = 0; i < batch->count; i++) {
    const int64_t length = batch->lengths ? batch->lengths[i] : batch->width;
    const int64_t last = i * batch->width + length - 1;
    memmove(state + i * width, state + last * width, (size_t)width * sizeof *state);
  }
}

void esp_forward_prefill(const esp_model *model, const esp_batch *batch, esp_pass *self) {
  esp_call call = {
      .model = model, .stage = ESP_STAGE_EMBED, .batch = *batch, .workspace = &self->workspace};
  ESP_ASSERT(model->task == ESP_TASK_LANGUAGE);
  run_stages(&call, self);
  keep_last_tokens(batch, model->stages[model->n_stages - 1].state_out, self->state);
  call.batch = (esp_batch){.kind = ESP_DATA_TOKENS, .count = batch->count, .width = 1};
  esp_call_head(&call, self->state, self->logits);
}
