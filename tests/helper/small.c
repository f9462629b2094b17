#include "small.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/io/file.h"
#include "espalier/model/family.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_BIAS = 1000, STREAM_PIXEL, STREAM_LABEL, CLASSES = 3 };

static void fill_biases(esp_model *model, uint64_t seed) {
  for (int w = 1; w < model->n_weights; w += 2)
    for (int64_t i = 0; i < model->weights[w].shape[0]; i++)
      model->weights[w].value[i] =
          (float)(0.2 * esp_rng_normal(seed, (uint64_t)(STREAM_BIAS + w), (uint64_t)i));
}

esp_model *small_model_new(const char *activation, const int64_t *sizes, int n, uint64_t seed) {
  json_t *list = json_array();
  for (int i = 0; i < n; i++) json_array_append_new(list, json_integer(sizes[i]));
  json_t *config = json_pack("{s:s, s:s, s:f, s:f, s:o}", "model_type", "mlp", "activation",
                             activation, "input_mean", 0.5, "input_std", 0.25, "layer_sizes", list);
  esp_model *model = NULL;
  ESP_ASSERT(esp_model_new(config, &model) == ESP_OK);
  json_decref(config);
  esp_model_own_all(model);
  model->family->init(model, seed);
  fill_biases(model, seed);
  return model;
}

esp_status small_model_save(const esp_comm *comm, esp_model *model, const char *path) {
  esp_h5 *file = NULL;
  ESP_TRY(esp_h5_create(comm, path, &file));
  esp_status status = esp_meta_write(file, ESP_MODEL_KIND, NULL);
  if (status == ESP_OK) status = esp_model_write(comm, model, file);
  if (status == ESP_OK) return esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}

esp_model *small_model_open(const esp_comm *comm, const int64_t *sizes, int n, const char *path) {
  esp_model *made = small_model_new("relu", sizes, n, 1), *model = NULL;
  ESP_ASSERT(small_model_save(comm, made, path) == ESP_OK);
  ESP_ASSERT(esp_model_open(comm, path, &model) == ESP_OK);
  esp_model_free(&made);
  return model;
}

esp_dataset *small_dataset_new(int64_t count, int64_t width, uint64_t seed) {
  esp_dataset *data = ESP_NEW(esp_dataset, 1);
  *data = (esp_dataset){.format = "idx",
                        .path = esp_strdup("small"),
                        .split = esp_strdup("train"),
                        .kind = ESP_DATA_IMAGES,
                        .count = count,
                        .width = width,
                        .classes = CLASSES,
                        .fingerprint = seed + 1,
                        .pixels = ESP_NEW(uint8_t, count * width),
                        .labels = ESP_NEW(int32_t, count)};
  for (int64_t i = 0; i < count * width; i++)
    data->pixels[i] = (uint8_t)esp_rng_below(seed, STREAM_PIXEL, (uint64_t)i, 256);
  for (int64_t i = 0; i < count; i++)
    data->labels[i] = (int32_t)esp_rng_below(seed, STREAM_LABEL, (uint64_t)i, CLASSES);
  return data;
}

json_t *small_meta_new(const esp_comm *comm, const esp_model *model, const esp_dataset *data,
                       int64_t micro_batch) {
  char model_text[24], data_text[24];
  snprintf(model_text, sizeof model_text, "%016" PRIx64, esp_model_fingerprint(comm, model));
  snprintf(data_text, sizeof data_text, "%016" PRIx64, data->fingerprint);
  return json_pack("{s:s, s:s, s:I}", "model_fingerprint", model_text, "data_fingerprint",
                   data_text, "micro_batch", (json_int_t)micro_batch);
}

static double activate(const char *name, double z) {
  if (strcmp(name, "relu") == 0) return z > 0 ? z : 0;
  if (strcmp(name, "tanh") == 0) return tanh(z);
  ESP_ASSERT(strcmp(name, "sigmoid") == 0);
  return 1 / (1 + exp(-z));
}

static void apply_layer(const esp_model *model, int layer, const double *in, double *out) {
  const esp_weight *w = &model->weights[2 * layer], *b = w + 1;
  for (int64_t i = 0; i < w->shape[0]; i++) {
    out[i] = b->value[i];
    for (int64_t j = 0; j < w->shape[1]; j++)
      out[i] += (double)w->value[i * w->shape[1] + j] * in[j];
  }
}

static void forward_one(const esp_model *model, int stage, const bool *const *kept, double *x,
                        double *z) {
  const char *name = json_string_value(json_object_get(model->config, "activation"));
  for (int layer = 0; layer <= stage; layer++) {
    apply_layer(model, layer, x, z);
    if (layer == model->n_stages) return;
    for (int64_t u = 0; u < model->stages[layer].units; u++)
      x[u] = kept && kept[layer] && !kept[layer][u] ? 0 : activate(name, z[u]);
  }
}

void small_forward(const esp_model *model, const esp_dataset *data, int stage,
                   const bool *const *kept, double *out) {
  const bool is_logits = stage == model->n_stages;
  const int64_t width = is_logits ? model->n_outputs : model->stages[stage].units;
  const int64_t widest = model->n_inputs + model->max_state + model->max_features;
  double *x = ESP_NEW(double, widest), *z = ESP_NEW(double, widest);
  for (int64_t s = 0; s < data->count; s++) {
    for (int64_t i = 0; i < data->width; i++)
      x[i] = (data->pixels[s * data->width + i] / 255.0 - 0.5) / 0.25;
    forward_one(model, stage, kept, x, z);
    memcpy(out + s * width, is_logits ? z : x, (size_t)width * sizeof *out);
  }
  esp_free(&x);
  esp_free(&z);
}

bool small_has_same_bytes(const char *first, const char *second) {
  char *a = NULL, *b = NULL;
  int64_t a_bytes = 0, b_bytes = 0;
  bool same = esp_file_read_local(first, &a, &a_bytes) == ESP_OK;
  same = esp_file_read_local(second, &b, &b_bytes) == ESP_OK && same;
  same = same && a_bytes == b_bytes && a_bytes > 0 && memcmp(a, b, (size_t)a_bytes) == 0;
  esp_free(&a);
  esp_free(&b);
  return same;
}

esp_dataset *small_tokens_new(int64_t count, int64_t length, int32_t vocabulary) {
  esp_dataset *data = ESP_NEW(esp_dataset, 1);
  *data = (esp_dataset){.format = "tokens",
                        .path = esp_strdup("small"),
                        .split = esp_strdup("train"),
                        .kind = ESP_DATA_TOKENS,
                        .count = count,
                        .width = length,
                        .max_token = vocabulary - 1,
                        .tokens = ESP_NEW(int32_t, count * length)};
  for (int64_t i = 0; i < count * length; i++)
    data->tokens[i] = (int32_t)(esp_rng_uniform(5, 1, (uint64_t)i) * vocabulary);
  return data;
}
