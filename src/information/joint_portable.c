/* Popcount by carry-save adders over 16 words (Harley and Seal; Warren, Hacker's Delight, 5-2), in
 * plain C on vectors that the compiler maps to what the machine has. */
#include "joint_kernel.h"

#include <string.h>

enum { LANES = 4, GROUP = 16, VECTOR_WORDS = GROUP * LANES };

static bool is_supported(void) {
  return true;
}

/* sum and carry of three bits: carry is twice the weight. */
static inline uint64_t add_carry_save(uint64_t *sum, uint64_t b, uint64_t c) {
  const uint64_t a = *sum, u = a ^ b;
  *sum = u ^ c;
  return (a & b) | (u & c);
}

/* The weights 1, 2, 4, 8 of what was added so far; a 16 comes out. */
typedef struct carries {
  uint64_t ones, twos, fours, eights;
} carries;

static inline uint64_t add_two(carries *sum, const uint64_t *x, const uint64_t *y) {
  return add_carry_save(&sum->ones, x[0] & y[0], x[LANES] & y[LANES]);
}

static inline uint64_t add_four(carries *sum, const uint64_t *x, const uint64_t *y) {
  const uint64_t low = add_two(sum, x, y), high = add_two(sum, x + 2 * LANES, y + 2 * LANES);
  return add_carry_save(&sum->twos, low, high);
}

static inline uint64_t add_eight(carries *sum, const uint64_t *x, const uint64_t *y) {
  const uint64_t low = add_four(sum, x, y), high = add_four(sum, x + 4 * LANES, y + 4 * LANES);
  return add_carry_save(&sum->fours, low, high);
}

static inline uint64_t add_group(carries *sum, const uint64_t *x, const uint64_t *y) {
  const uint64_t low = add_eight(sum, x, y), high = add_eight(sum, x + 8 * LANES, y + 8 * LANES);
  return add_carry_save(&sum->eights, low, high);
}

static void multiply(const uint64_t *x, const uint64_t *y, int64_t steps, int32_t *counts) {
  carries sums[LANES] = {{0}};
  int sixteens[LANES] = {0};
  for (int64_t k = 0; k < steps; k++)
    for (int lane = 0; lane < LANES; lane++) {
      const int64_t place = k * VECTOR_WORDS + lane;
      sixteens[lane] += esp_popcount(add_group(&sums[lane], x + place, y + place));
    }
  *counts = 0;
  for (int lane = 0; lane < LANES; lane++)
    *counts += 16 * sixteens[lane] + 8 * esp_popcount(sums[lane].eights) +
               4 * esp_popcount(sums[lane].fours) + 2 * esp_popcount(sums[lane].twos) +
               esp_popcount(sums[lane].ones);
}

static void pack(const uint64_t *words, int64_t steps, int64_t step_words, uint64_t *packed) {
  for (int64_t step = 0; step < steps; step++)
    memcpy(packed + step * step_words, words + step * VECTOR_WORDS, VECTOR_WORDS * sizeof *words);
}

static const esp_bit_multiply kernel = {.x_rows = 1,
                                        .y_rows = 1,
                                        .vector_words = VECTOR_WORDS,
                                        .shifts = 1,
                                        .block_words = 4 * VECTOR_WORDS,
                                        .x_block_rows = 96,
                                        .pack = pack,
                                        .multiply = multiply};
static void count(const esp_tile *tile, int32_t *counts) {
  esp_count_tile(&kernel, tile, counts);
}

const esp_joint_kernel esp_joint_portable = {"portable", is_supported, count};
