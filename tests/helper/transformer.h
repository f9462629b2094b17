/* Small transformers in memory with random weights, and naive building blocks in double precision.
 */
#ifndef ESPALIER_TESTS_TRANSFORMER_H
#define ESPALIER_TESTS_TRANSFORMER_H

#include "espalier/model/forward.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A model of a configuration (taken over) with values of its own, all random: norms about 1. */
static inline esp_model *transformer_new(json_t *config) {
  esp_model *model = NULL;
  if (esp_model_new(config, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  json_decref(config);
  esp_model_own_all(model);
  for (int w = 0; w < model->n_weights; w++) {
    esp_weight *weight = &model->weights[w];
    const bool is_norm = weight->rank == 1 && strstr(weight->name, ".weight");
    for (int64_t i = 0; i < esp_weight_count(weight); i++)
      weight->value[i] = (float)(0.4 * esp_rng_normal(3, (uint64_t)w, (uint64_t)i) + is_norm);
  }
  return model;
}

static inline void transformer_check_refused(json_t *config, esp_status code, const char *part) {
  esp_model *model = NULL;
  assert_failure(esp_model_new(config, &model), code, part);
  assert_null(model);
  json_decref(config);
}

static inline int transformer_find_weight(const esp_model *model, const char *name) {
  for (int w = 0; w < model->n_weights; w++)
    if (strcmp(model->weights[w].name, name) == 0) return w;
  fail_msg("no weight '%s'", name);
  return -1;
}

static inline void transformer_check_weight(const esp_model *model, const char *name, int stage,
                                            int64_t rows, int64_t cols) {
  const esp_weight *weight = &model->weights[transformer_find_weight(model, name)];
  assert_int_equal(weight->stage, stage);
  assert_int_equal(weight->rank, cols ? 2 : 1);
  assert_int_equal(weight->shape[0], rows);
  if (cols) assert_int_equal(weight->shape[1], cols);
}

static inline void transformer_check_stage(const esp_model *model, int index, const char *name,
                                           int64_t units, int64_t width) {
  const esp_stage *stage = &model->stages[index];
  assert_string_equal(stage->name, name);
  assert_memory_equal(stage->kind, name, strlen(stage->kind));
  assert_true(stage->units == units && stage->width == width && stage->per_group == 1);
  assert_true(stage->is_residual && stage->state_in == stage->state_out);
}

static inline void transformer_check_slice(const esp_model *model, esp_slice slice,
                                           const char *name, int axis, int64_t offset) {
  assert_string_equal(model->weights[slice.weight].name, name);
  assert_int_equal(slice.axis, axis);
  assert_int_equal(slice.offset, offset);
}

/* Logits of a batch; owned by the caller. */
static inline float *transformer_run(const esp_model *model, const esp_batch *batch) {
  esp_pass pass;
  const int64_t n = esp_batch_count_outputs(model, batch) * model->n_outputs;
  float *logits = ESP_NEW(float, n);
  esp_pass_init(&pass, model, esp_batch_count_rows(batch));
  esp_forward(model, batch, &pass);
  memcpy(logits, pass.logits, (size_t)n * sizeof *logits);
  esp_pass_clear(&pass);
  return logits;
}

/* Whether two passes over the same batch give the same bits in [begin, end). */
static inline bool transformer_is_same(const float *a, const float *b, int64_t begin, int64_t end) {
  return memcmp(a + begin, b + begin, (size_t)(end - begin) * sizeof *a) == 0;
}

/* Set what a slice says unit u owns. */
static inline void transformer_set_unit(esp_model *model, esp_slice slice, int64_t unit,
                                        float value) {
  esp_weight *weight = &model->weights[slice.weight];
  const int64_t inner = weight->rank == 2 && slice.axis == 0 ? weight->shape[1] : 1;
  const int64_t n = weight->shape[slice.axis], begin = slice.offset + unit * slice.width;
  for (int64_t i = 0; i < esp_weight_count(weight); i++)
    if (i / inner % n >= begin && i / inner % n < begin + slice.width) weight->value[i] = value;
}

/* A unit without readers may be produced by anything: what its stage says are its producers and its
 * consumers are right, and all. */
static inline void transformer_check_unit(esp_model *model, int index, int64_t unit,
                                          const esp_batch *batch) {
  const esp_stage *stage = &model->stages[index];
  const int64_t n = esp_batch_count_outputs(model, batch) * model->n_outputs;
  float *whole = transformer_run(model, batch);
  for (int i = 0; i < stage->n_consumers; i++)
    transformer_set_unit(model, stage->consumers[i], unit, 0.0f);
  float *silent = transformer_run(model, batch);
  for (int i = 0; i < stage->n_producers; i++)
    transformer_set_unit(model, stage->producers[i], unit, 0.25f);
  float *changed = transformer_run(model, batch);
  assert_false(transformer_is_same(whole, silent, 0, n));
  assert_true(transformer_is_same(silent, changed, 0, n));
  esp_free(&whole);
  esp_free(&silent);
  esp_free(&changed);
}

/* A weight by a formatted name, in double precision; owned by the caller. */
static inline double *naive_weight(const esp_model *model, const char *layer, const char *name) {
  char full[128];
  snprintf(full, sizeof full, "%s%s", layer, name);
  const esp_weight *weight = &model->weights[transformer_find_weight(model, full)];
  double *values = ESP_NEW(double, esp_weight_count(weight));
  for (int64_t i = 0; i < esp_weight_count(weight); i++) values[i] = (double)weight->value[i];
  return values;
}

/* y (T, outputs) = x W + b, with <name>.weight (inputs, outputs), or (outputs, inputs) when
 * transposed. */
static inline double *naive_linear(const esp_model *model, const char *layer, const char *name,
                                   bool transposed, const double *x, int64_t length) {
  char weight_name[64], bias_name[64];
  snprintf(weight_name, sizeof weight_name, "%s.weight", name);
  snprintf(bias_name, sizeof bias_name, "%s.bias", name);
  double *w = naive_weight(model, layer, weight_name), *b = naive_weight(model, layer, bias_name);
  snprintf(weight_name, sizeof weight_name, "%s%s.weight", layer, name);
  const int64_t *shape = model->weights[transformer_find_weight(model, weight_name)].shape;
  const int64_t inputs = shape[transposed], outputs = shape[!transposed];
  double *y = ESP_NEW(double, length *outputs);
  for (int64_t t = 0; t < length; t++)
    for (int64_t o = 0; o < outputs; o++) {
      y[t * outputs + o] = b[o];
      for (int64_t i = 0; i < inputs; i++)
        y[t * outputs + o] +=
            x[t * inputs + i] * (transposed ? w[o * inputs + i] : w[i * outputs + o]);
    }
  esp_free(&w);
  esp_free(&b);
  return y;
}

/* LayerNorm of rows of n, in place. */
static inline void naive_norm(const esp_model *model, const char *layer, const char *const names[2],
                              double epsilon, int64_t length, double *x) {
  double *w = naive_weight(model, layer, names[0]), *b = naive_weight(model, layer, names[1]);
  char full[128];
  snprintf(full, sizeof full, "%s%s", layer, names[0]);
  const int64_t n = model->weights[transformer_find_weight(model, full)].shape[0];
  for (int64_t t = 0; t < length; t++) {
    double mean = 0.0, variance = 0.0, *row = x + t * n;
    for (int64_t j = 0; j < n; j++) mean += row[j] / (double)n;
    for (int64_t j = 0; j < n; j++) variance += (row[j] - mean) * (row[j] - mean) / (double)n;
    for (int64_t j = 0; j < n; j++)
      row[j] = (row[j] - mean) / sqrt(variance + epsilon) * w[j] + b[j];
  }
  esp_free(&w);
  esp_free(&b);
}

typedef struct naive_heads {
  int64_t length, valid, heads, size; // keys from `valid` on are masked
  bool is_causal;
  double scale;
} naive_heads;

/* One query of one head: out (size) = sum_s softmax_s(scale q . k_s) v_s; rows are `stride` apart.
 */
static inline void naive_attend(const naive_heads *self, int64_t t, const double *const qkv[3],
                                int64_t stride, double *out) {
  double sum = 0.0;
  for (int64_t s = 0; s < self->valid && (!self->is_causal || s <= t); s++) {
    double score = 0.0;
    for (int64_t j = 0; j < self->size; j++)
      score += qkv[0][t * stride + j] * qkv[1][s * stride + j];
    const double p = exp(self->scale * score);
    sum += p;
    for (int64_t j = 0; j < self->size; j++) out[j] += p * qkv[2][s * stride + j];
  }
  for (int64_t j = 0; j < self->size; j++) out[j] /= sum;
}

/* (T, heads * size) from rows of q, k and v. */
static inline double *naive_attention(const naive_heads *self, const double *const qkv[3],
                                      int64_t stride) {
  const int64_t n = self->heads * self->size;
  double *out = ESP_NEW(double, self->length *n);
  for (int64_t h = 0; h < self->heads; h++) {
    const double *const head[3] = {qkv[0] + h * self->size, qkv[1] + h * self->size,
                                   qkv[2] + h * self->size};
    for (int64_t t = 0; t < self->length; t++)
      naive_attend(self, t, head, stride, out + t * n + h * self->size);
  }
  return out;
}

/* x += y, and y is freed. */
static inline void naive_add(int64_t n, double *x, double *y) {
  for (int64_t i = 0; i < n; i++) x[i] += y[i];
  esp_free(&y);
}

#endif
