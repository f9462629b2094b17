/* Random arrays, and how far float results are from double ones. */
#ifndef ESPALIER_TESTS_FLOATS_H
#define ESPALIER_TESTS_FLOATS_H

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <math.h>

static inline float *random_floats(int64_t n, uint64_t stream) {
  float *values = ESP_NEW(float, n);
  for (int64_t i = 0; i < n; i++) values[i] = (float)esp_rng_normal(5, stream, (uint64_t)i);
  return values;
}

static inline double largest_difference(const float *found, const double *expected, int64_t n) {
  double worst = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double difference = fabs((double)found[i] - expected[i]);
    if (!(difference <= worst)) worst = isnan(difference) ? INFINITY : difference;
  }
  return worst;
}

#endif
