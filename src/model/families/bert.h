/* BERT's shape, and its heads: one object each, found by the configuration's "architectures". */
#ifndef ESPALIER_SRC_MODEL_BERT_H
#define ESPALIER_SRC_MODEL_BERT_H

#include "activation.h"
#include "transformer.h"

typedef struct bert_layer {
  esp_linear parts[3]; // queries, keys, values
  esp_linear up;
  int norms[2]; // after attention, after the feed-forward part
} bert_layer;

typedef struct bert_shape bert_shape;

typedef struct bert_head {
  const char *architecture; // NULL: none of the others
  /* Add the head's weights to the last stage and set task, outputs and is_head_tied. */
  esp_status (*describe)(esp_model *model, bert_shape *shape);
  /* logits from the final state, as esp_family's head. */
  void (*apply)(const esp_call *call, const float *state, float *logits);
  /* As esp_family's head_backward. */
  void (*backward)(const esp_backward *self, const float *dlogits, float *dstate);
  bool (*ignores)(const esp_model *model, const char *tensor);
} bert_head;

struct bert_shape {
  const esp_activation *activation;
  const bert_head *head;
  double epsilon;
  int64_t hidden, head_size;
  int words, positions, token_types, norm; // weights of the embedding
  esp_linear pooler, output, transform;    // of the head, where it has them
  int transform_norm;
  int n_layers;
  bert_layer layers[];
};

/* Espalier's own member: whether an untied decoder has a bias. */
#define BERT_DECODER_BIAS "decoder_bias"

/* Add what only the tensors say: the architecture where none is named, whether a plain encoder has
 * a pooler and an untied decoder a bias. */
void bert_head_complete(json_t *config, const esp_tensor_set *set);
/* FORMAT: an architecture with a head that Espalier does not know. */
esp_status bert_head_find(const json_t *config, const bert_head **head);

void bert_encoder_backward(const esp_backward *self, const float *dlogits, float *dstate);
void bert_classifier_backward(const esp_backward *self, const float *dlogits, float *dstate);
void bert_masked_backward(const esp_backward *self, const float *dlogits, float *dstate);

#endif
