#include "espalier/select/mask.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

/* Bits of |x|: in the order of the magnitudes. */
static uint32_t get_key(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits & 0x7fffffffu;
}

/* The keep-th largest key, 0 < keep <= n, byte by byte from the top; *above: how many are larger.
 */
static uint32_t find_threshold(const float *scores, int64_t n, int64_t keep, int64_t *above) {
  uint32_t prefix = 0, known = 0;
  *above = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    int64_t count[256] = {0};
    for (int64_t i = 0; i < n; i++) {
      const uint32_t key = get_key(scores[i]);
      if ((key & known) == prefix) count[key >> shift & 255]++;
    }
    uint32_t byte = 255;
    while (*above + count[byte] < keep) *above += count[byte--];
    prefix |= byte << shift;
    known |= 255u << shift;
  }
  return prefix;
}

/* Score i is that of element first + i stride. */
typedef struct elements {
  int64_t n, first, stride;
} elements;

static void keep_largest(const float *scores, const elements *of, double sparsity, uint8_t *mask) {
  const int64_t keep = llround((double)of->n * (1.0 - sparsity));
  int64_t above;
  if (keep < 1) return;
  const uint32_t threshold = find_threshold(scores, of->n, keep, &above);
  int64_t ties = keep - above;
  for (int64_t i = 0; i < of->n; i++) {
    const uint32_t key = get_key(scores[i]);
    const int64_t at = of->first + i * of->stride;
    if (key > threshold || (key == threshold && ties-- > 0))
      mask[at / 8] = (uint8_t)(mask[at / 8] | 1u << (at % 8));
  }
}

void esp_mask_magnitude(const esp_mask_evidence *evidence, uint8_t *mask) {
  const elements all = {evidence->outputs * evidence->inputs, 0, 1};
  keep_largest(evidence->weights, &all, evidence->sparsity, mask);
}

/* Factors of the inputs, at most 1, so that no score overflows. */
static double *scale_norms(const esp_mask_evidence *evidence) {
  double *scale = ESP_NEW(double, evidence->inputs);
  double largest = 0.0;
  for (int64_t j = 0; evidence->norm && j < evidence->inputs; j++)
    largest = fmax(largest, evidence->norm[j]);
  for (int64_t j = 0; j < evidence->inputs; j++)
    scale[j] = largest > 0.0 ? evidence->norm[j] / largest : 1.0;
  return scale;
}

void esp_mask_wanda(const esp_mask_evidence *evidence, uint8_t *mask) {
  const int64_t n = evidence->inputs;
  double *scale = scale_norms(evidence);
  float *scores = ESP_NEW(float, n);
  for (int64_t i = 0; i < evidence->outputs; i++) {
    const elements row = {n, evidence->input_major ? i : i * n,
                          evidence->input_major ? evidence->outputs : 1};
    for (int64_t j = 0; j < n; j++)
      scores[j] = (float)(evidence->weights[row.first + j * row.stride] * scale[j]);
    keep_largest(scores, &row, evidence->sparsity, mask);
  }
  esp_free(&scores);
  esp_free(&scale);
}

int64_t esp_mask_count(const uint8_t *mask, int64_t count) {
  int64_t kept = 0;
  for (int64_t i = 0; i < count; i++) kept += esp_mask_has(mask, i);
  return kept;
}

/* Factors and scores of a row; a weight in each pass takes as long as some elementwise values
 * (measured). */
void esp_mask_add_cost(int64_t outputs, int64_t inputs, esp_cost *cost) {
  enum { PASSES = 4 };
  esp_cost_touch(cost, (double)inputs * (sizeof(double) + sizeof(float)));
  cost->work.values += PASSES * (double)(outputs * inputs);
}
