/* Small perceptrons in memory, and a naive net in double precision to compare them with. */
#ifndef ESPALIER_TESTS_MLP_H
#define ESPALIER_TESTS_MLP_H

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/model/family.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>

static inline json_t *mlp_config(const char *activation, const int64_t *sizes, int n) {
  json_t *list = json_array();
  for (int i = 0; i < n; i++) json_array_append_new(list, json_integer(sizes[i]));
  return json_pack("{s:s, s:o, s:s, s:f, s:f}", "model_type", "mlp", "layer_sizes", list,
                   "activation", activation, "input_mean", 0.25, "input_std", 0.5);
}

/* A model with weights of its own: the family's initial ones, and random biases. */
static inline esp_model *mlp_new(const char *activation, const int64_t *sizes, int n,
                                 uint64_t seed) {
  esp_model *model = NULL;
  json_t *config = mlp_config(activation, sizes, n);
  ESP_ASSERT(esp_model_new(config, &model) == ESP_OK);
  json_decref(config);
  esp_model_own_all(model);
  model->family->init(model, seed);
  for (int w = 1; w < model->n_weights; w += 2)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      model->weights[w].value[i] = (float)(0.1 * esp_rng_normal(seed, 100, (uint64_t)(64 * w + i)));
  return model;
}

/* `count` random samples of `width` pixels; pixels are owned by the caller. */
static inline esp_batch mlp_batch(int64_t count, int64_t width, uint64_t seed) {
  float *pixels = ESP_NEW(float, count *width);
  for (int64_t i = 0; i < count * width; i++)
    pixels[i] = (float)esp_rng_uniform(seed, 101, (uint64_t)i);
  return (esp_batch){.kind = ESP_DATA_IMAGES, .count = count, .width = width, .pixels = pixels};
}

/* A separable data set: pixels p = label (mod classes) are bright, the others dim. */
static inline esp_dataset *mlp_data(int64_t count, int64_t width, int32_t classes) {
  esp_dataset *data = ESP_NEW(esp_dataset, 1);
  *data = (esp_dataset){.format = "memory",
                        .path = esp_strdup("synthetic"),
                        .split = esp_strdup("train"),
                        .kind = ESP_DATA_IMAGES,
                        .count = count,
                        .width = width,
                        .classes = classes,
                        .fingerprint = 77,
                        .pixels = ESP_NEW(uint8_t, count * width),
                        .labels = ESP_NEW(int32_t, count)};
  for (int64_t s = 0; s < count; s++) {
    data->labels[s] = (int32_t)esp_rng_below(1, 0, (uint64_t)s, (uint64_t)classes);
    for (int64_t p = 0; p < width; p++)
      data->pixels[s * width + p] = (uint8_t)(esp_rng_below(1, 1, (uint64_t)(s * width + p), 60) +
                                              (p % classes == data->labels[s] ? 150 : 0));
  }
  return data;
}

typedef double (*naive_function)(double z);
static inline double naive_relu(double z) {
  return z > 0.0 ? z : 0.0;
}
static inline double naive_gelu(double z) {
  return 0.5 * z * (1.0 + erf(z / sqrt(2.0)));
}
static inline double naive_sigmoid(double z) {
  return 1.0 / (1.0 + exp(-z));
}

/* The numbers of a model in double precision: parameters of all weights, one after the other. */
typedef struct naive_net {
  const int64_t *sizes;
  int n;
  naive_function f;
  double *parameters;
} naive_net;

static inline naive_net naive_new(const esp_model *model, const int64_t *sizes, int n,
                                  naive_function f) {
  double *parameters = ESP_NEW(double, esp_model_count_parameters(model)), *to = parameters;
  for (int w = 0; w < model->n_weights; w++)
    for (int64_t i = 0; i < esp_weight_count(&model->weights[w]); i++)
      *to++ = (double)model->weights[w].value[i];
  return (naive_net){sizes, n, f, parameters};
}

/* z_0 = W_0 (p - 0.25) / 0.5 + b_0, z_(l+1) = W_(l+1) f(z_l) + b_(l+1), of one sample. */
static inline void naive_forward(const naive_net *net, const float *pixels, double *logits) {
  enum { MOST = 512 };
  double x[MOST], z[MOST];
  const double *next = net->parameters;
  for (int64_t i = 0; i < net->sizes[0]; i++) x[i] = ((double)pixels[i] - 0.25) / 0.5;
  for (int l = 0; l + 1 < net->n; l++) {
    const int64_t inputs = net->sizes[l], outputs = net->sizes[l + 1];
    for (int64_t o = 0; o < outputs; o++) {
      z[o] = next[outputs * inputs + o];
      for (int64_t i = 0; i < inputs; i++) z[o] += next[o * inputs + i] * x[i];
    }
    next += outputs * (inputs + 1);
    for (int64_t o = 0; o < outputs; o++) x[o] = net->f(z[o]);
  }
  memcpy(logits, z, (size_t)net->sizes[net->n - 1] * sizeof *logits);
}

#endif
