/* The backward pass of one stage. */
#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <string.h>

/* What follows the consumer's result reads it: computed again. */
void esp_stage_finish_backward(const esp_stage_backward *self, float *dstate) {
  const esp_model *model = self->model;
  const esp_stage *stage = &model->stages[self->stage];
  const int64_t rows = esp_batch_count_rows(self->batch);
  if (!model->family->finish_backward) return;
  float *state = ESP_NEW(float, rows * stage->state_out);
  if (stage->is_residual)
    memcpy(state, self->state, (size_t)(rows * stage->state_out) * sizeof *state);
  esp_stage_consume(model, self->stage, rows, self->x, state);
  model->family->finish_backward(model, self->stage, self->batch, state, dstate, self->gradients);
  esp_free(&state);
}

void esp_stage_consume_backward(const esp_stage_backward *self, float *dstate) {
  const esp_model *model = self->model;
  const esp_stage *stage = &model->stages[self->stage];
  const int64_t rows = esp_batch_count_rows(self->batch), n = rows * stage->state_in;
  float *dx = ESP_NEW(float, rows * stage->consumer.inputs);
  float *read = stage->is_residual ? ESP_NEW(float, n) : dstate;
  esp_linear_backward(model, &stage->consumer, rows, self->x, dstate, dx, self->gradients);
  model->family->produce_backward(model, self->stage, self->batch, self->state, dx, read,
                                  self->gradients);
  esp_free(&dx);
  if (read == dstate) return;
  for (int64_t i = 0; i < n; i++) dstate[i] += read[i];
  esp_free(&read);
}
