/* Backward passes of the heads of bert_head.c. dstate may be dlogits, so it is written last. */
#include "bert.h"
#include "ops.h"

#include "espalier/model/forward.h"

#include <string.h>

static const bert_shape *get_shape(const esp_model *model) {
  return model->shape;
}

void bert_encoder_backward(const esp_backward *self, const float *dlogits, float *dstate) {
  const esp_call *call = &self->call;
  const int64_t n = esp_call_count_rows(call) * get_shape(call->model)->hidden;
  if (dlogits != dstate) memcpy(dstate, dlogits, (size_t)n * sizeof *dstate);
}

/* With u = P r_0 + p and logits W tanh(u) + b; the gradient of r_0 goes to input->dx. */
static void pooled_backward(const tf_input *input, const float *dlogits) {
  const esp_model *model = input->call->model;
  esp_workspace *workspace = input->call->workspace;
  const bert_shape *shape = get_shape(model);
  const esp_activation *tanh = NULL;
  const int64_t rows = input->rows, n = rows * shape->hidden;
  float *u = ESP_TAKE(workspace, float, n), *pooled = ESP_TAKE(workspace, float, n);
  float *dpooled = ESP_TAKE(workspace, float, n);
  ESP_ASSERT(esp_activation_find("tanh", &tanh) == ESP_OK);
  esp_linear_forward(model, &shape->pooler, rows, input->x, u, false);
  tanh->apply(n, u, pooled);
  esp_linear_add_gradients(&shape->output, rows, pooled, dlogits, input->gradients);
  esp_linear_compute_dx(model, &shape->output, rows, dlogits, dpooled, false);
  tanh->derive(n, u, dpooled, u);
  tf_linear_backward(input, &shape->pooler, u);
}

void bert_classifier_backward(const esp_backward *self, const float *dlogits, float *dstate) {
  const esp_call *call = &self->call;
  const int64_t n = get_shape(call->model)->hidden, count = call->batch.count;
  const int64_t stride = call->batch.width * n;
  float *first = ESP_TAKE(call->workspace, float, count *n);
  float *dfirst = ESP_TAKE(call->workspace, float, count *n);
  for (int64_t i = 0; i < count; i++)
    memcpy(first + i * n, self->state + i * stride, (size_t)n * sizeof *first);
  memset(dfirst, 0, (size_t)(count * n) * sizeof *dfirst);
  pooled_backward(
      &(tf_input){
          .call = call, .rows = count, .x = first, .dx = dfirst, .gradients = self->gradients},
      dlogits);
  memset(dstate, 0, (size_t)(count * stride) * sizeof *dstate);
  for (int64_t i = 0; i < count; i++)
    memcpy(dstate + i * stride, dfirst + i * n, (size_t)n * sizeof *dstate);
}

/* With z = T r + t, y = f(z) and logits V norm(y) + b. */
void bert_masked_backward(const esp_backward *self, const float *dlogits, float *dstate) {
  const esp_call *call = &self->call;
  const bert_shape *shape = get_shape(call->model);
  const int64_t rows = esp_call_count_rows(call), n = rows * shape->hidden;
  float *z = ESP_TAKE(call->workspace, float, n), *y = ESP_TAKE(call->workspace, float, n);
  float *normed = ESP_TAKE(call->workspace, float, n), *d = ESP_TAKE(call->workspace, float, n);
  esp_linear_forward(call->model, &shape->transform, rows, self->state, z, false);
  shape->activation->apply(n, z, y);
  tf_apply_norm(call->model, shape->transform_norm, shape->epsilon, rows, y, normed);
  esp_linear_add_gradients(&shape->output, rows, normed, dlogits, self->gradients);
  esp_linear_compute_dx(call->model, &shape->output, rows, dlogits, d, false);
  tf_norm_backward(
      &(tf_input){.call = call, .rows = rows, .x = y, .dx = d, .gradients = self->gradients},
      shape->transform_norm, shape->epsilon, d);
  op_activate_backward(shape->activation, n, z, d, d);
  esp_linear_add_gradients(&shape->transform, rows, self->state, d, self->gradients);
  esp_linear_compute_dx(call->model, &shape->transform, rows, d, dstate, false);
}
