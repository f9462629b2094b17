/* GPT-2's shape, and its heads. */
#ifndef ESPALIER_SRC_MODEL_GPT2_H
#define ESPALIER_SRC_MODEL_GPT2_H

#include "activation.h"
#include "heads.h"

typedef struct gpt2_layer {
  int norms[2];   // before attention, before the feed-forward part
  esp_linear qkv; // outputs: queries, keys, values, (heads, head_size) each
  esp_linear up;
} gpt2_layer;

typedef struct gpt2_shape {
  const esp_activation *activation;
  double epsilon;
  int64_t hidden, positions, head_size;
  bool is_scaled, is_causal;
  int tokens, positions_weight, norm; // weights; the last norm
  tf_decoder_head head;
  int n_layers;
  gpt2_layer layers[];
} gpt2_shape;

/* Add the last norm and the head to the last stage, and set task and outputs. FORMAT. */
esp_status gpt2_head_describe(esp_model *model, gpt2_shape *shape);
/* The family's. */
void gpt2_complete(json_t *config, const esp_tensor_set *set);
void gpt2_head_apply(const esp_call *call, const float *state, float *logits);
void gpt2_head_backward(const esp_backward *self, const float *dlogits, float *dstate);

#endif
