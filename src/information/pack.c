/* Samples of one bin, packed together: counting them costs in proportion to their number. */
#include "espalier/core/memory.h"
#include "espalier/core/status.h"
#include "espalier/information/planes.h"
#include "joint_kernel.h"

enum { STEPS = 6 };

/* Moves that bring the bits under a mask to the low end: Warren, Hacker's Delight, 7-4
 * ("compress").
 */
typedef struct packing {
  uint64_t mask, moves[STEPS];
  int count; // bits of the mask
} packing;

static packing plan_packing(uint64_t mask) {
  packing plan = {.mask = mask, .count = esp_popcount(mask)};
  uint64_t left = ~mask << 1;
  for (int step = 0; step < STEPS; step++) {
    uint64_t parity = left;
    for (int shift = 1; shift < ESP_WORD_BITS; shift *= 2) parity ^= parity << shift;
    plan.moves[step] = parity & mask;
    mask = (mask ^ plan.moves[step]) | plan.moves[step] >> (1 << step);
    left &= ~parity;
  }
  return plan;
}

static uint64_t pack_word(const packing *plan, uint64_t word) {
  word &= plan->mask;
  for (int step = 0; step < STEPS; step++) {
    const uint64_t moved = word & plan->moves[step];
    word = (word ^ moved) | moved >> (1 << step);
  }
  return word;
}

static void pack_plane(const packing *plans, int64_t n_words, const uint64_t *from, uint64_t *to) {
  int64_t at = 0;
  for (int64_t w = 0; w < n_words; w++) {
    if (plans[w].count == 0) continue;
    const uint64_t bits = pack_word(&plans[w], from[w]);
    const int shift = (int)(at % ESP_WORD_BITS);
    to[at / ESP_WORD_BITS] |= bits << shift;
    if (shift + plans[w].count > ESP_WORD_BITS)
      to[at / ESP_WORD_BITS + 1] = bits >> (ESP_WORD_BITS - shift);
    at += plans[w].count;
  }
}

void esp_planes_pack(const esp_planes *from, const uint64_t *mask, esp_planes *to) {
  packing *plans = ESP_NEW(packing, from->n_words);
  int64_t samples = 0;
  for (int64_t w = 0; w < from->n_words; w++) {
    plans[w] = plan_packing(mask[w]);
    samples += plans[w].count;
  }
  esp_planes_init(to, from->units, from->bins, (samples + ESP_WORD_BITS - 1) / ESP_WORD_BITS);
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < from->units * (from->bins - 1); row++)
    pack_plane(plans, from->n_words, from->words + row * from->stride,
               to->words + row * to->stride);
  esp_free(&plans);
}

void esp_mask_bin(const esp_planes *planes, int64_t unit, int bin, uint64_t *mask) {
  ESP_ASSERT(unit >= 0 && unit < planes->units && bin >= 0 && bin < planes->bins);
  const uint64_t *rows = planes->words + unit * (planes->bins - 1) * planes->stride;
  for (int64_t w = 0; w < planes->n_words; w++) {
    const uint64_t reaches = bin > 0 ? rows[(bin - 1) * planes->stride + w] : ~UINT64_C(0);
    const uint64_t exceeds = bin < planes->bins - 1 ? rows[bin * planes->stride + w] : 0;
    mask[w] = reaches & ~exceeds;
  }
}
