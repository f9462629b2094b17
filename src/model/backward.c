/* The backward pass of the head, of one stage and of the embedding. */
#include "espalier/model/forward.h"

#include <string.h>

void esp_backward_head(const esp_backward *self, const float *dlogits, float *dstate) {
  esp_workspace *workspace = self->call.workspace;
  const esp_workspace_mark mark = esp_workspace_set_mark(workspace);
  self->call.model->family->head_backward(self, dlogits, dstate);
  esp_workspace_release(workspace, mark);
}

/* What follows the consumer's result reads it: computed again. */
void esp_backward_finish(const esp_backward *self, float *dstate) {
  const esp_call *call = &self->call;
  const esp_stage *stage = &call->model->stages[call->stage];
  const int64_t n = esp_call_count_rows(call) * stage->state_out;
  if (!call->model->family->finish_backward) return;
  const esp_workspace_mark mark = esp_workspace_set_mark(call->workspace);
  float *state = ESP_TAKE(call->workspace, float, n);
  if (stage->is_residual) memcpy(state, self->state, (size_t)n * sizeof *state);
  esp_call_consume(call, self->x, state);
  call->model->family->finish_backward(self, state, dstate);
  esp_workspace_release(call->workspace, mark);
}

void esp_backward_consume(const esp_backward *self, float *dstate) {
  const esp_call *call = &self->call;
  const esp_stage *stage = &call->model->stages[call->stage];
  const int64_t rows = esp_call_count_rows(call), n = rows * stage->state_in;
  const esp_workspace_mark mark = esp_workspace_set_mark(call->workspace);
  float *dx = ESP_TAKE(call->workspace, float, rows * stage->consumer.inputs);
  float *read = stage->is_residual ? ESP_TAKE(call->workspace, float, n) : dstate;
  esp_linear_compute_dx(call->model, &stage->consumer, rows, dstate, dx, false);
  if (!self->remade)
    esp_linear_add_gradients(&stage->consumer, rows, self->x, dstate, self->gradients);
  call->model->family->produce_backward(self, dx, read);
  if (self->remade)
    esp_linear_add_gradients(&stage->consumer, rows, self->remade, dstate, self->gradients);
  for (int64_t i = 0; i < n && read != dstate; i++) dstate[i] += read[i];
  esp_workspace_release(call->workspace, mark);
}

void esp_backward_embed(const esp_backward *self, const float *dstate) {
  esp_workspace *workspace = self->call.workspace;
  const esp_workspace_mark mark = esp_workspace_set_mark(workspace);
  if (self->gradients) self->call.model->family->embed_backward(self, dstate);
  esp_workspace_release(workspace, mark);
}
