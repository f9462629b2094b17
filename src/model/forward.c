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
  return model->task == ESP_TASK_CLASSIFY ? batch->count : esp_batch_count_rows(batch);
}

void esp_stage_consume(const esp_model *model, int stage, int64_t rows, const float *x,
                       float *state) {
  const esp_stage *self = &model->stages[stage];
  esp_linear_forward(model, &self->consumer, rows, x, state, self->is_residual);
}

void esp_stage_finish(const esp_model *model, int stage, const esp_batch *batch, float *state) {
  if (model->family->finish) model->family->finish(model, stage, batch, state);
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
}

void esp_forward(const esp_model *model, const esp_batch *batch, esp_pass *self) {
  const int64_t rows = esp_batch_count_rows(batch);
  ESP_ASSERT(rows <= self->rows);
  model->family->embed(model, batch, self->state);
  for (int stage = 0; stage < model->n_stages; stage++) {
    model->family->produce(model, stage, batch, self->state, self->x);
    esp_stage_consume(model, stage, rows, self->x, self->state);
    esp_stage_finish(model, stage, batch, self->state);
  }
  model->family->head(model, batch, self->state, self->logits);
}
