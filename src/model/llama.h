/* The numbers of a Llama-like decoder, as llama_config.c reads them and llama.c uses them. */
#ifndef ESPALIER_SRC_MODEL_LLAMA_H
#define ESPALIER_SRC_MODEL_LLAMA_H

#include "activation.h"
#include "rope.h"

#include "espalier/model/family.h"

typedef struct llama_layer {
  int64_t heads, kv_heads, intermediate;
  int norms[2];             // weights: before attention, before the feed-forward part
  int query_norm, key_norm; // of each head
  esp_linear query, key, value, gate, up;
} llama_layer;

typedef struct llama_shape {
  const esp_activation *activation;
  rope rope;
  double epsilon;
  int64_t hidden, head_size;
  bool has_query_bias, has_output_bias, has_ffn_bias, has_head_norms;
  int embedding, norm; // weights; the last norm
  esp_linear head;
  int n_layers;
  llama_layer layers[];
} llama_shape;

/* Read model->config into model->shape, and the model's own sizes; weights are not set. FORMAT,
 * USAGE. Local. */
esp_status llama_read(esp_model *model);
/* The family's resize. */
esp_status llama_resize(const esp_model *model, const int64_t *units, json_t *config);

#endif
