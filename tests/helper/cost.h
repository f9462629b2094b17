/* Small models and samples by their sizes alone, for costs. */
#ifndef ESPALIER_TESTS_COST_H
#define ESPALIER_TESTS_COST_H

#include "espalier/core/cost.h"
#include "espalier/core/memory.h"
#include "espalier/flow/shape.h"
#include "espalier/model/model.h"

#include <math.h>

static inline bool cost_is(double got, double expected) {
  return fabs(got - expected) <= 1e-9 * fmax(fabs(expected), 1.0);
}

static inline double cost_sent(const esp_cost *cost) {
  double sum = 0.0;
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) sum += cost->traffic[i];
  return sum;
}

static inline esp_model *cost_model_new(json_t *config) {
  esp_model *model = NULL;
  ESP_ASSERT(config && esp_model_new(config, &model) == ESP_OK);
  json_decref(config);
  return model;
}

/* A perceptron with one hidden layer. */
static inline esp_model *cost_mlp_new(int64_t inputs, int64_t hidden, int64_t outputs) {
  return cost_model_new(json_pack("{s:s, s:[I, I, I], s:s, s:f, s:f}", "model_type", "mlp",
                                  "layer_sizes", (json_int_t)inputs, (json_int_t)hidden,
                                  (json_int_t)outputs, "activation", "relu", "input_mean", 0.5,
                                  "input_std", 0.5));
}

/* A llama of one layer in bfloat16, which cannot be read in place: 2 heads of size 4 that share
 * keys and values, 10 tokens. */
static inline esp_model *cost_llama_new(int64_t hidden, int64_t intermediate, bool is_tied) {
  esp_model *model = cost_model_new(json_pack(
      "{s:s, s:I, s:i, s:i, s:i, s:i, s:I, s:i, s:i, s:b}", "model_type", "llama", "hidden_size",
      (json_int_t)hidden, "num_hidden_layers", 1, "num_attention_heads", 2, "num_key_value_heads",
      1, "head_dim", 4, "intermediate_size", (json_int_t)intermediate, "vocab_size", 10,
      "max_position_embeddings", 64, "tie_word_embeddings", is_tied));
  for (int i = 0; i < model->n_weights; i++) model->weights[i].type = ESP_BF16;
  return model;
}

/* Full micro-batches of `tokens` a sample. */
static inline esp_shard_shape cost_samples_new(int ranks, int64_t n_batches, int64_t batch_rows,
                                               int64_t tokens) {
  esp_shard_shape self = {.ranks = ranks,
                          .samples = n_batches * batch_rows / tokens,
                          .n_batches = n_batches,
                          .batch_rows = batch_rows,
                          .tokens = tokens,
                          .rows = n_batches * batch_rows,
                          .share = (n_batches + ranks - 1) / ranks,
                          .valid = ESP_NEW(int64_t, n_batches)};
  for (int64_t i = 0; i < n_batches; i++) self.valid[i] = batch_rows;
  return self;
}

#endif
