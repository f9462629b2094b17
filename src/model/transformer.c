#include "transformer.h"

#include "ops.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/model/forward.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

esp_linear tf_add_linear(esp_model *model, int stage, esp_linear shape, const char *format, ...) {
  char name[160];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  esp_weight_shape weight = {stage, 2, {shape.outputs, shape.inputs}};
  if (shape.input_major) weight.dims[0] = shape.inputs, weight.dims[1] = shape.outputs;
  shape.weight = esp_model_add_weight(model, weight, "%s.weight", name);
  if (shape.bias != -1)
    shape.bias =
        esp_model_add_weight(model, (esp_weight_shape){stage, 1, {shape.outputs}}, "%s.bias", name);
  return shape;
}

int tf_add_norm(esp_model *model, int stage, int64_t n, const char *format, ...) {
  char name[160];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  const int weight =
      esp_model_add_weight(model, (esp_weight_shape){stage, 1, {n}}, "%s.weight", name);
  const int bias = esp_model_add_weight(model, (esp_weight_shape){stage, 1, {n}}, "%s.bias", name);
  esp_model_add_width(model, weight, 0);
  esp_model_add_width(model, bias, 0);
  return weight;
}

void tf_apply_norm(const esp_model *model, int norm, double epsilon, int64_t rows, const float *x,
                   float *y) {
  const float *const weight_bias[2] = {model->weights[norm].value, model->weights[norm + 1].value};
  op_layer_norm(rows, model->weights[norm].shape[0], x, weight_bias, epsilon, y);
}

void tf_linear_backward(const tf_input *self, const esp_linear *linear, const float *dy) {
  esp_linear_add_gradients(linear, self->rows, self->x, dy, self->gradients);
  esp_linear_compute_dx(self->call->model, linear, self->rows, dy, self->dx, true);
}

void tf_norm_backward(const tf_input *self, int norm, double epsilon, const float *dy) {
  const esp_weight *weight = &self->call->model->weights[norm];
  op_norm_compute_backward(&(op_norm_backward){
      .rows = self->rows,
      .n = weight->shape[0],
      .x = self->x,
      .weight = weight->value,
      .dy = dy,
      .epsilon = epsilon,
      .is_centred = true,
      .dx = self->dx,
      .dweight = tf_get_gradient(self->gradients, norm),
      .dbias = tf_get_gradient(self->gradients, norm + 1),
      .workspace = self->call->workspace,
  });
}

void tf_activated_backward(const tf_input *self, const esp_linear *up,
                           const esp_activation *activation, const float *dx) {
  const int64_t n = self->rows * up->outputs;
  float *z = ESP_TAKE(self->call->workspace, float, n);
  esp_linear_forward(self->call->model, up, self->rows, self->x, z, false);
  if (self->remade) activation->apply(n, z, self->remade);
  op_activate_backward(activation, n, z, dx, z);
  tf_linear_backward(self, up, z);
}

void tf_add_writer(esp_model *model, const esp_linear *linear) {
  esp_model_add_width(model, linear->weight, linear->input_major ? 1 : 0);
  if (linear->bias >= 0) esp_model_add_width(model, linear->bias, 0);
}

esp_stage *tf_add_stage(esp_model *model, const char *kind, int layer, int64_t width,
                        const esp_linear *consumer) {
  esp_stage *stage = esp_model_add_stage(model);
  snprintf(stage->name, sizeof stage->name, "%s.%d", kind, layer);
  stage->kind = kind;
  stage->units = consumer->inputs / width;
  stage->width = width;
  stage->state_in = stage->state_out = consumer->outputs;
  stage->is_residual = true;
  stage->consumer = *consumer;
  stage->n_consumers = 1;
  stage->consumers[0] = (esp_slice){consumer->weight, consumer->input_major ? 0 : 1, 0, width};
  tf_add_writer(model, consumer);
  return stage;
}

void tf_add_producer(esp_stage *stage, const esp_linear *linear, int64_t offset) {
  ESP_ASSERT(stage->n_producers + 2 <= ESP_MAX_SLICES);
  stage->producers[stage->n_producers++] =
      (esp_slice){linear->weight, linear->input_major ? 1 : 0, offset, stage->width};
  if (linear->bias >= 0)
    stage->producers[stage->n_producers++] = (esp_slice){linear->bias, 0, offset, stage->width};
}

void tf_clear_gradient(const esp_call *call, float *dstate) {
  const int64_t n = esp_call_count_rows(call) * call->model->stages[call->stage].state_in;
  memset(dstate, 0, (size_t)n * sizeof *dstate);
}

bool tf_ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

void tf_draw(const esp_model *model, uint64_t seed, esp_weight_range range, float *values) {
  const esp_weight *weight = &model->weights[range.weight];
  const bool is_matrix = weight->rank == 2, is_norm = tf_ends_with(weight->name, ".weight");
  double scale = json_number_value(json_object_get(model->config, "initializer_range"));
  if (!(scale > 0.0)) scale = 0.02;
  for (int64_t i = 0; i < range.n; i++)
    values[i] = is_matrix ? (float)(scale * esp_rng_normal(seed, (uint64_t)range.weight,
                                                           (uint64_t)(range.begin + i)))
                          : is_norm;
}
