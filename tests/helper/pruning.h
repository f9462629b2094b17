/* A request to prune a tiny model in memory. */
#ifndef ESPALIER_TESTS_PRUNING_H
#define ESPALIER_TESTS_PRUNING_H

#include "espalier/core/memory.h"
#include "espalier/prune/request.h"

/* Llama of 3 layers: 4 query heads on 2 KV heads, 24 neurons, 16 hidden dimensions. */
static inline esp_model *pruning_model_new(void) {
  json_t *config =
      json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:s}", "model_type", "llama",
                "hidden_size", 16, "num_hidden_layers", 3, "num_attention_heads", 4,
                "num_key_value_heads", 2, "head_dim", 4, "intermediate_size", 24, "vocab_size", 11,
                "max_position_embeddings", 32, "rms_norm_eps", 1e-6, "hidden_act", "silu");
  esp_model *model = NULL;
  if (esp_model_new(config, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  json_decref(config);
  return model;
}

/* Options as pairs of name and value, ended by NULL. */
static inline void pruning_set(esp_prune_settings *settings, const char *const *options) {
  esp_prune_settings_init(settings);
  for (; options[0]; options += 2)
    if (esp_prune_settings_set(settings, options[0], options[1]) != ESP_OK)
      fail_msg("%s", esp_failure_text());
}

/* The request, which must be taken; settings are the caller's to clear. */
static inline esp_prune_request *pruning_request(esp_prune_settings *settings,
                                                 const char *const *options) {
  esp_prune_request *request = NULL;
  pruning_set(settings, options);
  if (esp_prune_request_new(settings, pruning_model_new(), &request) != ESP_OK)
    fail_msg("%s", esp_failure_text());
  return request;
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

#endif
