/* Counting a tile of pairs is a product of two bit matrices whose rows are planes and whose sums
 * are popcounts of ANDs. The driver blocks and packs as matrix products do (Goto, van de Geijn
 * 2008); a kernel multiplies one panel of x rows by one of y rows, small enough for registers and
 * the L1 cache. */
#ifndef ESPALIER_INFORMATION_JOINT_KERNEL_H
#define ESPALIER_INFORMATION_JOINT_KERNEL_H

#include "espalier/information/joint.h"

enum { ESP_PANEL_CELLS = 32, ESP_VECTOR_WORDS = 64 }; // the largest x_rows * y_rows; vector_words

typedef struct esp_bit_multiply {
  int x_rows, y_rows; // rows of a panel: the register tile
  int vector_words;   // words a step
  int shifts;         // vectors packed for one: 2 where nibbles lie apart
  int block_words;    // words of a block, a multiple of vector_words
  int x_block_rows;   // packed rows of x that stay in the L2 cache, a multiple of x_rows
  /* Pack a row's words (steps, vector_words) to packed (steps, shifts) vectors, each step_words
   * behind the other. */
  void (*pack)(const uint64_t *words, int64_t steps, int64_t step_words, uint64_t *packed);
  /* Write counts (x_rows, y_rows) of panels packed as (steps, shifts, rows, vector_words). */
  void (*multiply)(const uint64_t *x, const uint64_t *y, int64_t steps, int32_t *counts);
} esp_bit_multiply;

/* Count a tile, counts (nx, ny, Bx-1, By-1), with a kernel's panels. */
void esp_count_tile(const esp_bit_multiply *kernel, const esp_tile *tile, int32_t *counts);

extern const esp_joint_kernel esp_joint_avx512, esp_joint_avx2, esp_joint_portable;

/* Bits of a word without the instruction: Warren, Hacker's Delight, 5-2. */
static inline int esp_popcount(uint64_t word) {
  word -= word >> 1 & UINT64_C(0x5555555555555555);
  word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
  word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return (int)(word * UINT64_C(0x0101010101010101) >> 56);
}

#endif
