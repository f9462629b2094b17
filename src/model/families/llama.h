/* The numbers of a Llama-like decoder, as llama_config.c reads them and llama.c uses them. */
#ifndef ESPALIER_SRC_MODEL_LLAMA_H
#define ESPALIER_SRC_MODEL_LLAMA_H

#include "activation.h"
#include "heads.h"
#include "ops.h"
#include "rope.h"

#include "espalier/model/family.h"

typedef struct llama_layer {
  int64_t heads, kv_heads, intermediate;
  int64_t window;           // of its attention; 0: none
  int norms[2];             // weights: before attention, before the feed-forward part
  int query_norm, key_norm; // of each head
  esp_linear query, key, value, gate, up;
} llama_layer;

typedef struct llama_shape {
  const esp_activation *activation;
  rope rope;
  double epsilon;
  int64_t hidden, head_size, positions;
  bool has_query_bias, has_output_bias, has_ffn_bias, has_head_norms;
  bool is_causal;
  int embedding, norm; // weights; the last norm
  tf_decoder_head head;
  int n_layers;
  llama_layer layers[];
} llama_shape;

/* Whether a model_type has windows: never, unless sliding_window is null, or with
 * use_sliding_window. */
typedef enum llama_sliding {
  LLAMA_NEVER_SLIDES,
  LLAMA_SLIDES,
  LLAMA_SLIDES_IF_ASKED
} llama_sliding;
/* Set the layers' windows, for sequences of at most `longest` tokens (0: any). FORMAT. Local. */
esp_status llama_read_windows(const json_t *config, llama_sliding sliding, int64_t longest,
                              llama_shape *shape);

/* Read model->config into model->shape, and the model's own sizes; weights are not set. FORMAT,
 * USAGE. Local. */
esp_status llama_read(esp_model *model);
/* The family's resize. */
esp_status llama_resize(const esp_model *model, const int64_t *units, json_t *config);
void llama_explain_loader(const esp_model *model, char *why, size_t size);
bool llama_needs_all_heads(const esp_model *model);

/* Parts of the forward pass that the backward pass computes again. The layer, and the norm before
 * the stage or the head; a norm; cosines and sines (2, length, head_size / 2), scratch; norms of
 * the heads, then positions; the job without its arrays. */
const llama_layer *llama_get_layer(const esp_call *call);
int llama_get_norm(const esp_call *call);
void llama_normalise(const esp_model *model, int weight, int64_t rows, const float *x, float *y);
const float *llama_compute_angles(const esp_call *call);
void llama_rotate(const esp_call *call, float *q, float *k);
op_attention_job llama_make_attention(const esp_call *call);

/* The family's. */
void llama_embed(const esp_call *call, float *state);
void llama_read_stream(const esp_call *call, const float *state, float *normed);
void llama_produce(const esp_call *call, const float *state, float *x);
void llama_head(const esp_call *call, const float *state, float *logits);
void llama_head_backward(const esp_backward *self, const float *dlogits, float *dstate);
void llama_produce_backward(const esp_backward *self, const float *dx, float *dstate);
void llama_embed_backward(const esp_backward *self, const float *dstate);

#endif
