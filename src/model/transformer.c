#include "transformer.h"

#include "ops.h"

#include "espalier/core/rng.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const int64_t largest_size = 1 << 24;

static esp_status check_size(const char *key, int64_t value) {
  if (value <= largest_size) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' of at most %lld, found %lld", key,
                  (long long)largest_size, (long long)value);
}

esp_status tf_get_size(const json_t *config, const char *key, int64_t *value) {
  ESP_TRY(esp_config_get_int(config, key, 1, value));
  return check_size(key, *value);
}

static json_t *find_override(const json_t *config, int layer) {
  char index[16];
  json_t *all = json_object_get(config, "per_layer_config");
  if (json_is_array(all)) return json_array_get(all, (size_t)layer);
  snprintf(index, sizeof index, "%d", layer);
  return json_object_get(all, index);
}

const json_t *tf_get_layer_member(const json_t *config, int layer, const char *key) {
  const json_t *own = json_object_get(find_override(config, layer), key);
  return own ? own : json_object_get(config, key);
}

esp_status tf_get_layer_size(const json_t *config, int layer, const char *key, int64_t *value) {
  const json_t *override = find_override(config, layer);
  return tf_get_size(json_object_get(override, key) ? override : config, key, value);
}

/* The list that others may have written, as an object, which may be sparse. */
static json_t *take_overrides(json_t *config, int n_layers) {
  json_t *all = json_object();
  for (int layer = 0; layer < n_layers; layer++) {
    char index[16];
    json_t *found = find_override(config, layer);
    snprintf(index, sizeof index, "%d", layer);
    if (json_is_object(found)) json_object_set(all, index, found);
  }
  return all;
}

static void set_override(json_t *all, int layer, const char *key, const int64_t *value) {
  char index[16];
  snprintf(index, sizeof index, "%d", layer);
  json_t *override = json_object_get(all, index);
  if (!override && value) {
    override = json_object();
    json_object_set_new(all, index, override);
  }
  if (value) json_object_set_new(override, key, json_integer(*value));
  if (!value && override) json_object_del(override, key);
  if (override && json_object_size(override) == 0) json_object_del(all, index);
}

void tf_set_layer_sizes(json_t *config, const char *key, int n_layers, const int64_t *values,
                        int stride) {
  int64_t most = 0;
  json_t *all = take_overrides(config, n_layers);
  for (int layer = 0; layer < n_layers; layer++)
    if (values[layer * stride] > most) most = values[layer * stride];
  for (int layer = 0; layer < n_layers; layer++) {
    const int64_t *value = &values[layer * stride];
    set_override(all, layer, key, *value != most ? value : NULL);
  }
  json_object_set_new(config, key, json_integer(most));
  json_object_del(config, "per_layer_config");
  if (json_object_size(all) > 0) json_object_set(config, "per_layer_config", all);
  json_decref(all);
}

static bool is_given(const json_t *config, const char *key) {
  const json_t *found = json_object_get(config, key);
  return found && !json_is_null(found);
}

esp_status tf_get_real_or(const json_t *config, const char *key, double *value) {
  return is_given(config, key) ? esp_config_get_real(config, key, value) : ESP_OK;
}

esp_status tf_get_text_or(const json_t *config, const char *key, const char **value) {
  return is_given(config, key) ? esp_config_get_text(config, key, value) : ESP_OK;
}

esp_status tf_get_flag_or(const json_t *config, const char *key, bool *value) {
  const json_t *found = json_object_get(config, key);
  if (!is_given(config, key)) return ESP_OK;
  if (!json_is_boolean(found))
    return esp_fail(ESP_FORMAT, "configuration: expected true or false for '%s'; check config.json",
                    key);
  *value = json_is_true(found);
  return ESP_OK;
}

esp_status tf_refuse_flag(const json_t *config, const char *key) {
  bool value = false;
  ESP_TRY(tf_get_flag_or(config, key, &value));
  if (!value) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: '%s' is true, expected false: Espalier does not know this variant",
                  key);
}

esp_status tf_get_head_size(const json_t *config, const char *heads_key, int64_t size,
                            int64_t *head_size) {
  int64_t heads;
  if (is_given(config, "head_dim")) return tf_get_size(config, "head_dim", head_size);
  ESP_TRY(tf_get_size(config, heads_key, &heads));
  *head_size = size / heads;
  if (size % heads == 0) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' to divide the hidden size %lld, found %lld",
                  heads_key, (long long)size, (long long)heads);
}

void tf_set_head_size(json_t *config, const char *heads_key, int64_t size, int64_t head_size) {
  const int64_t heads = json_integer_value(json_object_get(config, heads_key));
  if (heads * head_size == size)
    json_object_del(config, "head_dim");
  else
    json_object_set_new(config, "head_dim", json_integer(head_size));
}

esp_status tf_get_layer_count(const json_t *config, const char *key, int *n_layers) {
  int64_t n;
  ESP_TRY(esp_config_get_int(config, key, 1, &n));
  *n_layers = (int)n;
  if (n <= 4096) return ESP_OK;
  return esp_fail(ESP_FORMAT, "configuration: expected '%s' of at most 4096, found %lld", key,
                  (long long)n);
}

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
  esp_model_add_weight(model, (esp_weight_shape){stage, 1, {n}}, "%s.bias", name);
  return weight;
}

void tf_apply_norm(const esp_model *model, int norm, double epsilon, int64_t rows, const float *x,
                   float *y) {
  const float *const weight_bias[2] = {model->weights[norm].value, model->weights[norm + 1].value};
  op_layer_norm(rows, model->weights[norm].shape[0], x, weight_bias, epsilon, y);
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
  return stage;
}

void tf_add_producer(esp_stage *stage, const esp_linear *linear, int64_t offset) {
  ESP_ASSERT(stage->n_producers + 2 <= ESP_MAX_SLICES);
  stage->producers[stage->n_producers++] =
      (esp_slice){linear->weight, linear->input_major ? 1 : 0, offset, stage->width};
  if (linear->bias >= 0)
    stage->producers[stage->n_producers++] = (esp_slice){linear->bias, 0, offset, stage->width};
}

bool tf_ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

void tf_init(esp_model *model, uint64_t seed) {
  double scale = json_number_value(json_object_get(model->config, "initializer_range"));
  if (!(scale > 0.0)) scale = 0.02;
  for (int w = 0; w < model->n_weights; w++) {
    esp_weight *weight = &model->weights[w];
    const bool is_matrix = weight->rank == 2, is_norm = tf_ends_with(weight->name, ".weight");
    for (int64_t i = 0; i < esp_weight_count(weight); i++)
      weight->value[i] =
          is_matrix ? (float)(scale * esp_rng_normal(seed, (uint64_t)w, (uint64_t)i)) : is_norm;
  }
}
