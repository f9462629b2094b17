/* Multi-layer perceptron: z_0 = W_0 (p - mean) / std + b_0, x_l = f(z_l), z_(l+1) = W_(l+1) x_l +
 * b_(l+1); the logits are the last z. Weights layers.<l>.weight (out, in) and layers.<l>.bias. */
#include "activation.h"
#include "families.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>

typedef struct mlp_shape {
  const esp_activation *activation;
  double mean, std; // of the input, applied before the first layer
} mlp_shape;

static const mlp_shape *get_shape(const esp_model *model) {
  return model->shape;
}

static esp_status read_numbers(const esp_model *model, mlp_shape *shape) {
  const char *activation;
  ESP_TRY(esp_config_get_text(model->config, "activation", &activation));
  ESP_TRY(esp_activation_find(activation, &shape->activation));
  ESP_TRY(esp_config_get_real(model->config, "input_mean", &shape->mean));
  ESP_TRY(esp_config_get_real(model->config, "input_std", &shape->std));
  if (shape->std > 0.0) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected input_std > 0, found %g", shape->std);
}

static esp_status read_sizes(const esp_model *model, int64_t *sizes, int n) {
  const json_t *list = json_object_get(model->config, "layer_sizes");
  for (int i = 0; i < n; i++) {
    sizes[i] = json_integer_value(json_array_get(list, (size_t)i));
    if (sizes[i] < 1 || sizes[i] > 1 << 24)
      return esp_fail(ESP_FORMAT,
                      "configuration: expected layer_sizes from 1 to 16777216, found "
                      "%lld as number %d",
                      (long long)sizes[i], i);
  }
  return ESP_OK;
}

static esp_linear add_linear(esp_model *model, int layer, int64_t inputs, int64_t outputs) {
  esp_linear linear = {.outputs = outputs, .inputs = inputs};
  const int stage = layer - 1; // the stage whose consumer this is; layer 0 is the embedding
  linear.weight = esp_model_add_weight(model, (esp_weight_shape){stage, 2, {outputs, inputs}},
                                       "layers.%d.weight", layer);
  linear.bias =
      esp_model_add_weight(model, (esp_weight_shape){stage, 1, {outputs}}, "layers.%d.bias", layer);
  return linear;
}

static void add_hidden(esp_model *model, int layer, const esp_linear *producer,
                       const esp_linear *consumer) {
  esp_stage *stage = esp_model_add_stage(model);
  snprintf(stage->name, sizeof stage->name, "hidden.%d", layer);
  stage->kind = "hidden";
  stage->units = consumer->inputs;
  stage->width = 1;
  stage->state_in = consumer->inputs;
  stage->state_out = consumer->outputs;
  stage->consumer = *consumer;
  stage->n_producers = 2;
  stage->producers[0] = (esp_slice){producer->weight, 0, 0, 1};
  stage->producers[1] = (esp_slice){producer->bias, 0, 0, 1};
  stage->n_consumers = 1;
  stage->consumers[0] = (esp_slice){consumer->weight, 1, 0, 1};
}

static void add_layers(esp_model *model, const int64_t *sizes, int n) {
  esp_linear below = add_linear(model, 0, sizes[0], sizes[1]);
  for (int layer = 1; layer < n - 1; layer++) {
    const esp_linear above = add_linear(model, layer, sizes[layer], sizes[layer + 1]);
    add_hidden(model, layer - 1, &below, &above);
    below = above;
  }
  model->task = ESP_TASK_CLASSIFY;
  model->n_inputs = sizes[0];
  model->n_outputs = sizes[n - 1];
}

static esp_status describe(esp_model *model) {
  const int n = (int)json_array_size(json_object_get(model->config, "layer_sizes"));
  if (n < 3 || n > 1024)
    return esp_fail(ESP_FORMAT,
                    "configuration: expected layer_sizes with 3 to 1024 sizes (input, "
                    "hidden..., output), found %d",
                    n);
  mlp_shape *shape = ESP_NEW(mlp_shape, 1);
  model->shape = shape;
  ESP_TRY(read_numbers(model, shape));
  int64_t *sizes = ESP_NEW(int64_t, n);
  const esp_status status = read_sizes(model, sizes, n);
  if (status == ESP_OK) add_layers(model, sizes, n);
  esp_free(&sizes);
  return status;
}

static esp_status resize(const esp_model *model, const int64_t *units, json_t *config) {
  json_t *sizes = json_object_get(config, "layer_sizes");
  for (int stage = 0; stage < model->n_stages; stage++)
    json_array_set_new(sizes, (size_t)stage + 1, json_integer(units[stage]));
  return ESP_OK;
}

/* He et al. 2015: normal with variance 2 / fan-in; biases zero. */
static void draw(const esp_model *model, uint64_t seed, esp_weight_range range, float *values) {
  const esp_weight *weight = &model->weights[range.weight];
  const bool is_matrix = weight->rank == 2;
  const double scale = is_matrix ? sqrt(2.0 / (double)weight->shape[1]) : 0.0;
  for (int64_t i = 0; i < range.n; i++)
    values[i] = is_matrix ? (float)(scale * esp_rng_normal(seed, (uint64_t)range.weight,
                                                           (uint64_t)(range.begin + i)))
                          : 0.0f;
}

/* The standardised input (count, width), scratch. */
static const float *standardise(const esp_call *call) {
  const mlp_shape *shape = get_shape(call->model);
  const float mean = (float)shape->mean, factor = (float)(1.0 / shape->std);
  const int64_t n = call->batch.count * call->batch.width;
  float *input = ESP_TAKE(call->workspace, float, n);
  for (int64_t i = 0; i < n; i++) input[i] = (call->batch.pixels[i] - mean) * factor;
  return input;
}

static esp_linear first_linear(const esp_model *model) {
  return (esp_linear){
      .weight = 0, .bias = 1, .outputs = model->weights[0].shape[0], .inputs = model->n_inputs};
}

static void embed(const esp_call *call, float *state) {
  const esp_linear first = first_linear(call->model);
  esp_linear_forward(call->model, &first, call->batch.count, standardise(call), state, false);
}

static void produce(const esp_call *call, const float *state, float *x) {
  const int64_t n = call->batch.count * call->model->stages[call->stage].units;
  get_shape(call->model)->activation->apply(n, state, x);
}

static void head(const esp_call *call, const float *state, float *logits) {
  const int64_t n = call->batch.count * call->model->n_outputs;
  memcpy(logits, state, (size_t)n * sizeof *logits);
}

static void head_backward(const esp_backward *self, const float *dlogits, float *dstate) {
  const int64_t n = self->call.batch.count * self->call.model->n_outputs;
  memcpy(dstate, dlogits, (size_t)n * sizeof *dstate);
}

static void produce_backward(const esp_backward *self, const float *dx, float *dstate) {
  const esp_call *call = &self->call;
  const int64_t n = call->batch.count * call->model->stages[call->stage].units;
  get_shape(call->model)->activation->derive(n, self->state, dx, dstate);
}

static void embed_backward(const esp_backward *self, const float *dstate) {
  const esp_call *call = &self->call;
  const esp_linear first = first_linear(call->model);
  esp_linear_add_gradients(&first, call->batch.count, standardise(call), dstate, self->gradients);
}

const esp_family esp_family_mlp = {
    .name = "mlp",
    .summary = "multi-layer perceptron over images",
    .input = ESP_DATA_IMAGES,
    .describe = describe,
    .resize = resize,
    .init = esp_family_init,
    .draw = draw,
    .embed = embed,
    .produce = produce,
    .head = head,
    .head_backward = head_backward,
    .produce_backward = produce_backward,
    .embed_backward = embed_backward,
};
