/* Elementary functions that compilers vectorise: no branches, no calls, no tables. Bounds are those
 * that tests/unit/core/elementary.c finds. */
#ifndef ESPALIER_CORE_ELEMENTARY_H
#define ESPALIER_CORE_ELEMENTARY_H

#include "espalier/core/c_linkage.h"

#include <stdint.h>
#include <string.h>

ESP_C_BEGIN

/* x within [low, high], by masks: of branches compilers make ways for what is clamped, such as x
 * e^-88, which vector code then computes for every x, and a subnormal result takes 150 cycles. */
static inline float esp_clamp_fast(float x, float low, float high) {
  const uint32_t below = 0u - (uint32_t)(x < low), above = 0u - (uint32_t)(x > high);
  uint32_t bits, least, most;
  memcpy(&bits, &x, sizeof bits);
  memcpy(&least, &low, sizeof least);
  memcpy(&most, &high, sizeof most);
  bits = (bits & ~(below | above)) | (least & below) | (most & above);
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* exp(x) = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2, e^r by the polynomial of Cephes'
 * expf; relative error below 2e-7. Arguments are clamped to [-87, 88]; NaN stays NaN. Adding 1.5 *
 * 2^23 rounds to an integer and leaves it in the low bits, so that no conversion is needed. */
static inline float esp_exp_fast(float x) {
  const float magic = 12582912.0f;
  const float v = esp_clamp_fast(x, -87.0f, 88.0f);
  const float shifted = v * 1.44269504f + magic, n = shifted - magic;
  const float r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  float power;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127u) << 23;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

/* The same in double: e^r by its series to r^13, relative error below 5e-16; arguments are clamped
 * to [-708, 709]. ln 2 is taken away in two parts, of which n times the first is exact. */
static inline double esp_exp_double(double x) {
  const double magic = 6755399441055744.0; // 1.5 * 2^52
  const double low = x < -708.0 ? -708.0 : x, v = low > 709.0 ? 709.0 : low;
  const double shifted = v * 1.4426950408889634 + magic, n = shifted - magic;
  const double r = (v - n * 6.93147180369123816490e-1) - n * 1.90821492927058770002e-10;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r * r + r + 1.0;
  uint64_t bits;
  double power;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023u) << 52;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

/* erf(x): below |x| = 1 x times a polynomial of x^2, from there 1 - e^q(|x|), which is 1 in float
 * from 4 on; both are least-squares fits at Chebyshev points. Error below 2e-7 of erf(x); NaN stays
 * NaN. */
static inline float esp_erf_fast(float x) {
  const float magnitude = x < 0.0f ? -x : x, t = magnitude > 4.0f ? 4.0f : magnitude, s = x * x;
  float near = 7.882497448e-05f;
  near = near * s - 8.018855006e-04f;
  near = near * s + 5.189312156e-03f;
  near = near * s - 2.685432881e-02f;
  near = near * s + 1.128359735e-01f;
  near = near * s - 3.761262596e-01f;
  near = (near * s + 1.128379107e+00f) * x;
  float q = -1.330938994e-05f;
  q = q * t + 3.175720340e-04f;
  q = q * t - 3.436867613e-03f;
  q = q * t + 2.262198552e-02f;
  q = q * t - 1.033189818e-01f;
  q = q * t - 6.390933394e-01f;
  q = q * t - 1.125925899e+00f;
  q = q * t - 7.569686277e-04f;
  const float far = 1.0f - esp_exp_fast(q);
  return magnitude < 1.0f ? near : x < 0.0f ? -far : far;
}

ESP_C_END

#endif
