#include "espalier/core/finite.h"

#include "espalier/core/clones.h"

#include <string.h>

enum { BLOCK = 1024 };

/* Bits of a magnitude order as magnitudes do, with infinity and NaN on top. */
static inline uint32_t get_magnitude(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7fffffffU;
}

ESP_CLONES static uint32_t find_largest(const float *values, int64_t n) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; i++) {
    const uint32_t magnitude = get_magnitude(values[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

int64_t esp_find_beyond(const float *values, int64_t n, float limit) {
  const uint32_t most = get_magnitude(limit);
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const int64_t end = n - begin < BLOCK ? n : begin + BLOCK;
    if (find_largest(values + begin, end - begin) < most) continue;
    for (int64_t i = begin; i < end; i++)
      if (get_magnitude(values[i]) >= most) return i;
  }
  return n;
}
