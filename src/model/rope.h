/* Rotary position embedding: position p turns pair i of a head by the angle p f_i. */
#ifndef ESPALIER_SRC_MODEL_ROPE_H
#define ESPALIER_SRC_MODEL_ROPE_H

#include "espalier/core/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct rope rope;

/* Where a type finds its numbers: its own object, and the configuration around it. */
typedef struct rope_source {
  const json_t *parameters, *config;
} rope_source;

/* How the frequencies theta^(-2i/head_size) are changed. */
typedef struct rope_type {
  const char *name;                                              // "rope_type"
  esp_status (*read)(const rope_source *source, rope *self);     // NULL: nothing to read
  float (*compute)(const rope *self, int64_t length, int64_t i); // f_i in sequences of a length
  bool is_unbounded; // made for sequences beyond max_position_embeddings
} rope_type;

struct rope {
  const rope_type *type;
  int64_t head_size, positions; // max_position_embeddings
  double theta, factor;
  double attention;         // cosines and sines are multiplied by it
  double original;          // positions before scaling (llama3, yarn, longrope)
  double low, high;         // llama3: factors; yarn: the pairs between which it blends
  const json_t *factors[2]; // longrope: of short and of long sequences, borrowed
};

/* Read `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling`. FORMAT: an unknown
 * type or a bad number, by name. The configuration must outlive self. Local. */
esp_status rope_read(const json_t *config, int64_t head_size, int64_t positions, rope *self);
/* cos and sin, (length, head_size / 2) each, in float32 steps as in transformers. Local. */
void rope_fill(const rope *self, int64_t length, float *cosine, float *sine);

#endif
