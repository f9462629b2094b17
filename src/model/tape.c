#include "espalier/model/forward.h"

#include "espalier/core/memory.h"

#include <string.h>

void esp_tape_init(esp_tape *self, const esp_model *model, int64_t rows) {
  *self = (esp_tape){.rows = rows,
                     .state = ESP_NEW(float *, model->n_stages + 1),
                     .x = ESP_NEW(float *, model->n_stages),
                     .logits = ESP_NEW(float, rows * model->n_outputs),
                     .dlogits = ESP_NEW(float, rows * model->n_outputs),
                     .dstate = ESP_NEW(float, rows * model->max_state)};
  for (int i = 0; i <= model->n_stages; i++)
    self->state[i] = ESP_NEW(float, rows * model->max_state);
  for (int i = 0; i < model->n_stages; i++)
    self->x[i] = ESP_NEW(float, rows *esp_stage_features(&model->stages[i]));
}

void esp_tape_clear(esp_tape *self, const esp_model *model) {
  for (int i = 0; self->state && i <= model->n_stages; i++) esp_free(&self->state[i]);
  for (int i = 0; self->x && i < model->n_stages; i++) esp_free(&self->x[i]);
  esp_free(&self->state);
  esp_free(&self->x);
  esp_free(&self->logits);
  esp_free(&self->dlogits);
  esp_free(&self->dstate);
}

void esp_tape_forward(const esp_model *model, const esp_batch *batch, esp_tape *self) {
  const int64_t rows = esp_batch_count_rows(batch);
  ESP_ASSERT(rows <= self->rows);
  model->family->embed(model, batch, self->state[0]);
  for (int i = 0; i < model->n_stages; i++) {
    const esp_stage *stage = &model->stages[i];
    model->family->produce(model, i, batch, self->state[i], self->x[i]);
    if (stage->is_residual)
      memcpy(self->state[i + 1], self->state[i], (size_t)(rows * stage->state_in) * sizeof(float));
    esp_stage_consume(model, i, rows, self->x[i], self->state[i + 1]);
    esp_stage_finish(model, i, batch, self->state[i + 1]);
  }
  model->family->head(model, batch, self->state[model->n_stages], self->logits);
}

void esp_tape_backward(const esp_model *model, const esp_batch *batch, esp_tape *self,
                       float *const *gradients) {
  model->family->head_backward(model, batch, self->state[model->n_stages], self->dlogits,
                               self->dstate, gradients);
  for (int i = model->n_stages - 1; i >= 0; i--) {
    const esp_stage_backward stage = {model, i, batch, self->state[i], self->x[i], gradients};
    esp_stage_finish_backward(&stage, self->dstate);
    esp_stage_consume_backward(&stage, self->dstate);
  }
  if (gradients) model->family->embed_backward(model, batch, self->dstate, gradients);
}
