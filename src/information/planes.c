#include "espalier/information/planes.h"

#include "espalier/core/memory.h"
#include "espalier/core/status.h"

#include <string.h>

enum { BLOCK_UNITS = 16, MAX_PLANES = ESP_MAX_BINS - 1 };

void esp_planes_init(esp_planes *self, int64_t units, int bins, int64_t n_words) {
  ESP_ASSERT(units >= 0 && n_words >= 0 && bins >= 2 && bins <= ESP_MAX_BINS);
  *self = (esp_planes){.units = units, .n_words = n_words, .stride = n_words, .bins = bins};
  self->words = ESP_NEW(uint64_t, units * (bins - 1) * n_words);
}

void esp_planes_clear(esp_planes *self) {
  esp_free(&self->words);
  *self = (esp_planes){0};
}

/* A block of units side by side, so that the comparisons run along a row of x. */
typedef struct unit_block {
  int64_t begin, count;
  float edges[MAX_PLANES][BLOCK_UNITS];
} unit_block;

static void load_edges(const float *edges, int planes, unit_block *block) {
  for (int64_t u = 0; u < block->count; u++)
    for (int a = 0; a < planes; a++) block->edges[a][u] = edges[(block->begin + u) * planes + a];
}

/* Compare one row of x with all edges and set bit s. Whole blocks, so that the loop vectorises. */
static void set_bits(const float *row, const unit_block *block, int planes, int s,
                     uint64_t bits[MAX_PLANES][BLOCK_UNITS]) {
  float values[BLOCK_UNITS] = {0};
  memcpy(values, row, (size_t)block->count * sizeof *row);
  for (int a = 0; a < planes; a++)
    for (int u = 0; u < BLOCK_UNITS; u++)
      bits[a][u] |= (uint64_t)(values[u] > block->edges[a][u]) << s;
}

static void store_bits(const uint64_t bits[MAX_PLANES][BLOCK_UNITS], const unit_block *block,
                       int64_t word, esp_planes *planes) {
  for (int64_t u = 0; u < block->count; u++)
    for (int a = 0; a < planes->bins - 1; a++)
      planes->words[((block->begin + u) * (planes->bins - 1) + a) * planes->stride + word] =
          bits[a][u];
}

static void encode_block(const float *x, int64_t n, int64_t ldx, const unit_block *block,
                         int64_t word, esp_planes *planes) {
  for (int64_t begin = 0; begin < n; begin += ESP_WORD_BITS) {
    const int in_word = (int)(n - begin < ESP_WORD_BITS ? n - begin : ESP_WORD_BITS);
    uint64_t bits[MAX_PLANES][BLOCK_UNITS] = {{0}};
    for (int s = 0; s < in_word; s++)
      set_bits(x + (begin + s) * ldx + block->begin, block, planes->bins - 1, s, bits);
    store_bits(bits, block, word + begin / ESP_WORD_BITS, planes);
  }
}

void esp_encode_planes(const float *x, int64_t n, int64_t ldx, const float *edges, int64_t word,
                       esp_planes *planes) {
  ESP_ASSERT(n >= 0 && word >= 0 && planes->units <= ldx);
  ESP_ASSERT(word + (n + ESP_WORD_BITS - 1) / ESP_WORD_BITS <= planes->n_words);
#pragma omp parallel for schedule(static)
  for (int64_t begin = 0; begin < planes->units; begin += BLOCK_UNITS) {
    const int64_t left = planes->units - begin;
    unit_block block = {.begin = begin, .count = left < BLOCK_UNITS ? left : BLOCK_UNITS};
    load_edges(edges, planes->bins - 1, &block);
    encode_block(x, n, ldx, &block, word, planes);
  }
}
