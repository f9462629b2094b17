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
  model->family->finish_backward(self, state, dstate);
  esp_free(&state);
}

void esp_stage_consume_backward(const esp_stage_backward *self, float *dstate) {
  const esp_model *model = self->model;
  const esp_stage *stage = &model->stages[self->stage];
  const int64_t rows = esp_batch_count_rows(self->batch), n = rows * stage->state_in;
  float *dx = ESP_NEW(float, rows * stage->consumer.inputs);
  float *read = stage->is_residual ? ESP_NEW(float, n) : dstate;
  esp_linear_add_gradients(&stage->consumer, rows, self->x, dstate, self->gradients);
  esp_linear_compute_dx(model, &stage->consumer, rows, dstate, dx, false);
  model->family->produce_backward(self, dx, read);
  esp_free(&dx);
  if (read == dstate) return;
  for (int64_t i = 0; i < n; i++) dstate[i] += read[i];
  esp_free(&read);
}
