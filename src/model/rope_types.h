/* The types of rotary embeddings: rope.c finds them, rope_types.c has how each is computed. */
#ifndef ESPALIER_SRC_MODEL_ROPE_TYPES_H
#define ESPALIER_SRC_MODEL_ROPE_TYPES_H

#include "rope.h"

extern const rope_type rope_types[]; // ended by a name of NULL

/* Whether a member is there and not null. */
bool rope_has(const json_t *object, const char *key);
/* A number above 0. FORMAT, naming it. Local. */
esp_status rope_read_positive(const json_t *object, const char *key, double *value);

#endif
