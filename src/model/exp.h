/* An exponential that compilers vectorise. */
#ifndef ESPALIER_SRC_MODEL_EXP_H
#define ESPALIER_SRC_MODEL_EXP_H

#include <stdint.h>
#include <string.h>

/* exp(x) = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2, e^r by the polynomial of Cephes'
 * expf; relative error below 2e-7. Arguments are clamped to [-87, 88]; NaN stays NaN. Adding 1.5 *
 * 2^23 rounds to an integer and leaves it in the low bits, so that no conversion is needed. */
static inline float exp_fast(float x) {
  const float magic = 12582912.0f;
  const float low = x < -87.0f ? -87.0f : x, v = low > 88.0f ? 88.0f : low;
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

#endif
