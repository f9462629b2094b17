/* Rotary position embedding: position p turns pair i of a head by the angle p f_i. */
#ifndef ESPALIER_SRC_MODEL_ROPE_H
#define ESPALIER_SRC_MODEL_ROPE_H

#include "espalier/core/status.h"

#include <jansson.h>
#include <stdint.h>

typedef struct rope rope;

/* How the frequencies theta^(-2i/head_size) are changed. */
typedef struct rope_type {
  const char *name; // "rope_type"
  esp_status (*read)(const json_t *parameters, const json_t *config,
                     rope *self);                    // NULL: nothing to read
  float (*scale)(const rope *self, float frequency); // NULL: as they are
} rope_type;

struct rope {
  const rope_type *type;
  int64_t head_size;
  double theta, factor;
  double low, high, original; // llama3
};

/* Read `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling`. FORMAT: an unknown
 * type or a bad number, by name. Local. */
esp_status rope_read(const json_t *config, int64_t head_size, rope *self);
/* cos and sin, (length, head_size / 2) each, in float32 steps as in transformers. Local. */
void rope_fill(const rope *self, int64_t length, float *cosine, float *sine);

#endif
