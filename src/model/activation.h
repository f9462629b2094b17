/* Element-wise non-linearities, found by name. */
#ifndef ESPALIER_SRC_MODEL_ACTIVATION_H
#define ESPALIER_SRC_MODEL_ACTIVATION_H

#include "espalier/core/status.h"

#include <stdint.h>

typedef struct esp_activation {
  const char *name;
  void (*apply)(int64_t n, const float *z, float *y); // y = f(z), may be in place
  void (*derive)(int64_t n, const float *z, const float *dy, float *dz); // dz = dy f'(z)
} esp_activation;

/* All functions without weights of transformers' ACT2FN, by all their names; USAGE names them. */
esp_status esp_activation_find(const char *name, const esp_activation **activation);

#endif
