#include "espalier/core/rng.h"

#include "espalier/core/clones.h"

#include <math.h>

/* Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011. */
static inline __attribute__((always_inline)) void philox(uint64_t seed, uint64_t stream,
                                                         uint64_t counter, uint32_t out[4]) {
  uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)stream,
                   (uint32_t)(stream >> 32)};
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
    const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1,
                              (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0};
    for (int i = 0; i < 4; i++) c[i] = next[i];
  }
  for (int i = 0; i < 4; i++) out[i] = c[i];
}

uint64_t esp_rng_u64(uint64_t seed, uint64_t stream, uint64_t counter) {
  uint32_t bits[4];
  philox(seed, stream, counter, bits);
  return (uint64_t)bits[1] << 32 | bits[0];
}

double esp_rng_uniform(uint64_t seed, uint64_t stream, uint64_t counter) {
  return (double)(esp_rng_u64(seed, stream, counter) >> 11) * 0x1p-53;
}

double esp_rng_normal(uint64_t seed, uint64_t stream, uint64_t counter) {
  uint32_t bits[4];
  philox(seed, stream, counter, bits);
  const double u = ((double)bits[0] + 0.5) * 0x1p-32, v = (double)bits[1] * 0x1p-32;
  return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t esp_rng_below(uint64_t seed, uint64_t stream, uint64_t counter, uint64_t bound) {
  __extension__ typedef unsigned __int128 wide;
  return (uint64_t)((wide)esp_rng_u64(seed, stream, counter) * bound >> 64);
}

/* The upper 64 bits of u b are those of (u's upper half) b + (the upper bits of its lower half's
 * product), where b fits 32 bits. */
ESP_CLONES void esp_rng_below_each(uint64_t seed, uint64_t stream, uint64_t counter, int bound,
                                   int count, uint8_t *values) {
  for (int i = 0; i < count; i++) {
    uint32_t bits[4];
    philox(seed, stream, counter + (uint64_t)i, bits);
    const uint64_t low = (uint64_t)bits[0] * (uint32_t)bound >> 32;
    values[i] = (uint8_t)(((uint64_t)bits[1] * (uint32_t)bound + low) >> 32);
  }
}

void esp_rng_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *order) {
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    const int64_t j = (int64_t)esp_rng_below(seed, stream, (uint64_t)i, (uint64_t)i + 1);
    const int64_t kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}
