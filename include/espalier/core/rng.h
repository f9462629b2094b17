/* Counter-based random numbers: a value is a pure function of (seed, stream, counter), so it is the
 * same at any rank and thread count. Philox4x32-10 (Salmon et al., SC 2011). All local and pure. */
#ifndef ESPALIER_CORE_RNG_H
#define ESPALIER_CORE_RNG_H

#include "espalier/core/c_linkage.h"

#include <stdint.h>

ESP_C_BEGIN

/* 64 random bits. */
uint64_t esp_rng_u64(uint64_t seed, uint64_t stream, uint64_t counter);
/* Uniform in [0, 1), 53 bits. */
double esp_rng_uniform(uint64_t seed, uint64_t stream, uint64_t counter);
/* Standard normal (Box-Muller). */
double esp_rng_normal(uint64_t seed, uint64_t stream, uint64_t counter);
/* Uniform in [0, bound), bound > 0, without modulo bias to speak of (128-bit product). */
uint64_t esp_rng_below(uint64_t seed, uint64_t stream, uint64_t counter, uint64_t bound);
/* The same of `count` counters from `counter` on, bound <= 256: values (count). */
void esp_rng_below_each(uint64_t seed, uint64_t stream, uint64_t counter, int bound, int count,
                        uint8_t *values);
/* Write a random permutation of 0..n-1 to order (n), Fisher-Yates. */
void esp_rng_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *order);

ESP_C_END

#endif
