#include "espalier/core/softmax.h"

#include "espalier/core/clones.h"
#include "espalier/core/elementary.h"

/* Values side by side, in the same order for every instruction set. */
enum { LANES = 16 };

ESP_CLONES float esp_softmax_find_top(const float *values, int64_t n) {
  float tops[LANES];
  int64_t i = 0;
  for (int j = 0; j < LANES; j++) tops[j] = values[0];
  for (; i + LANES <= n; i += LANES) {
#pragma omp simd
    for (int j = 0; j < LANES; j++) tops[j] = values[i + j] > tops[j] ? values[i + j] : tops[j];
  }
  for (; i < n; i++) tops[0] = values[i] > tops[0] ? values[i] : tops[0];
  for (int j = 1; j < LANES; j++) tops[0] = tops[j] > tops[0] ? tops[j] : tops[0];
  return tops[0];
}

ESP_CLONES double esp_softmax_exponentiate(const float *values, int64_t n, float top, float scale,
                                           float *e) {
  double sums[LANES] = {0.0}, sum = 0.0;
  int64_t i = 0;
#pragma omp simd
  for (int64_t k = 0; k < n; k++) e[k] = esp_exp_fast((values[k] - top) * scale);
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) sums[j] += (double)e[i + j];
  for (; i < n; i++) sum += (double)e[i];
  for (int j = 0; j < LANES; j++) sum += sums[j];
  return sum;
}
