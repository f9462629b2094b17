/* Backward passes of the heads of bert_head.c. dstate may be dlogits, so it is written last. */
#include "bert.h"
#include "ops.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <string.h>

static const bert_shape *get_shape(const esp_model *model) {
  return model->shape;
}

void bert_encoder_backward(const esp_model *model, const esp_batch *batch, const float *state,
                           const float *dlogits, float *dstate, float *const *gradients) {
  const int64_t n = batch->count * batch->width * get_shape(model)->hidden;
  (void)state, (void)gradients;
  if (dlogits != dstate) memcpy(dstate, dlogits, (size_t)n * sizeof *dstate);
}

/* With u = P r_0 + p and logits W tanh(u) + b; the gradient of r_0 goes to input->dx. */
static void pooled_backward(const tf_input *input, const float *dlogits) {
  const bert_shape *shape = get_shape(input->model);
  const esp_activation *tanh = NULL;
  const int64_t n = input->rows * shape->hidden;
  float *u = ESP_NEW(float, n), *pooled = ESP_NEW(float, n), *dpooled = ESP_NEW(float, n);
  ESP_ASSERT(esp_activation_find("tanh", &tanh) == ESP_OK);
  esp_linear_forward(input->model, &shape->pooler, input->rows, input->x, u, false);
  tanh->apply(n, u, pooled);
  esp_linear_add_gradients(&shape->output, input->rows, pooled, dlogits, input->gradients);
  esp_linear_compute_dx(input->model, &shape->output, input->rows, dlogits, dpooled, false);
  tanh->derive(n, u, dpooled, u);
  tf_linear_backward(input, &shape->pooler, u);
  esp_free(&dpooled);
  esp_free(&pooled);
  esp_free(&u);
}

void bert_classifier_backward(const esp_model *model, const esp_batch *batch, const float *state,
                              const float *dlogits, float *dstate, float *const *gradients) {
  const int64_t n = get_shape(model)->hidden, count = batch->count, stride = batch->width * n;
  float *first = ESP_NEW(float, count *n), *dfirst = ESP_NEW(float, count *n);
  const tf_input input = {model, count, first, dfirst, gradients};
  for (int64_t i = 0; i < count; i++)
    memcpy(first + i * n, state + i * stride, (size_t)n * sizeof *first);
  pooled_backward(&input, dlogits);
  memset(dstate, 0, (size_t)(count * stride) * sizeof *dstate);
  for (int64_t i = 0; i < count; i++)
    memcpy(dstate + i * stride, dfirst + i * n, (size_t)n * sizeof *dstate);
  esp_free(&dfirst);
  esp_free(&first);
}

void bert_masked_backward(const esp_model *model, const esp_batch *batch, const float *state,
                          const float *dlogits, float *dstate, float *const *gradients) {
  const bert_shape *shape = get_shape(model);
  const int64_t rows = batch->count * batch->width, n = rows * shape->hidden;
  float *z = ESP_NEW(float, n), *y = ESP_NEW(float, n), *d = ESP_NEW(float, n);
  esp_linear_forward(model, &shape->transform, rows, state, z, false);
  float *normed = ESP_NEW(float, n);
  shape->activation->apply(n, z, y);
  tf_apply_norm(model, shape->transform_norm, shape->epsilon, rows, y, normed);
  esp_linear_add_gradients(&shape->output, rows, normed, dlogits, gradients);
  esp_linear_compute_dx(model, &shape->output, rows, dlogits, d, false);
  tf_norm_backward(&(tf_input){model, rows, y, d, gradients}, shape->transform_norm, shape->epsilon,
                   d);
  op_activate_backward(shape->activation, n, z, d, d);
  esp_linear_add_gradients(&shape->transform, rows, state, d, gradients);
  esp_linear_compute_dx(model, &shape->transform, rows, d, dstate, false);
  esp_free(&normed);
  esp_free(&d);
  esp_free(&y);
  esp_free(&z);
}
