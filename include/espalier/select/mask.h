/* Unstructured pruning, for comparison: masks of weights that become zero while shapes stay. Bit i
 * of a mask, in byte i / 8, is 1 where element i (C order) stays. */
#ifndef ESPALIER_SELECT_MASK_H
#define ESPALIER_SELECT_MASK_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"

#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

/* A matrix and what is known of its input; arrays are borrowed. */
typedef struct esp_mask_evidence {
  const float *weights; // (outputs, inputs), or (inputs, outputs) when input_major; finite
  int64_t outputs, inputs;
  bool input_major;
  const double *norm; // (inputs): ||x_j||_2, finite; NULL: not measured, all equal
  double sparsity;    // fraction of weights that go
} esp_mask_evidence;

/* Write the mask, zero on entry, (outputs * inputs + 7) / 8 bytes: the round((1 - sparsity) n)
 * largest |w| of the n weights of the matrix; or, for each output, the round((1 - sparsity) inputs)
 * largest |w_ij| ||x_j||_2 [Sun et al. 2023]. Ties stay by the lowest index. Local. */
typedef void (*esp_mask_rule)(const esp_mask_evidence *evidence, uint8_t *mask);
void esp_mask_magnitude(const esp_mask_evidence *evidence, uint8_t *mask);
void esp_mask_wanda(const esp_mask_evidence *evidence, uint8_t *mask);

static inline int64_t esp_mask_bytes(int64_t count) {
  return (count + 7) / 8;
}
static inline bool esp_mask_has(const uint8_t *mask, int64_t i) {
  return mask[i / 8] >> (i % 8) & 1;
}
/* What the mask of one matrix takes, beside matrix and mask. Local. */
void esp_mask_add_cost(int64_t outputs, int64_t inputs, esp_cost *cost);
int64_t esp_mask_count(const uint8_t *mask, int64_t count);

ESP_C_END

#endif
