#include "joint_kernel.h"

#include "espalier/core/memory.h"
#include "espalier/core/status.h"

#include <string.h>

/* The planes of a range of units as rows of bits, and where a row's counts lie in the result. */
typedef struct bit_rows {
  const uint64_t *words;
  int64_t count, n_words, stride;
  int64_t *offsets; // (count), of a row's counts in the result; owned
} bit_rows;

static bit_rows init_rows(const esp_planes *planes, int64_t begin, int64_t units,
                          int64_t unit_cells, int64_t plane_cells) {
  ESP_ASSERT(begin >= 0 && units >= 0 && begin + units <= planes->units);
  const int n_planes = planes->bins - 1;
  const bit_rows rows = {.words = planes->words + begin * n_planes * planes->stride,
                         .count = units * n_planes,
                         .n_words = planes->n_words,
                         .stride = planes->stride,
                         .offsets = ESP_NEW(int64_t, units * n_planes)};
  for (int64_t r = 0; r < rows.count; r++)
    rows.offsets[r] = r / n_planes * unit_cells + r % n_planes * plane_cells;
  return rows;
}

/* A range of rows or words. */
typedef struct range {
  int64_t begin, count;
} range;

static range cut(int64_t begin, int64_t limit, int64_t total) {
  return (range){begin, total - begin < limit ? total - begin : limit};
}

static int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

enum { UNROLL_WORDS = 4 };

static void pack_words(const uint64_t *restrict words, int64_t count, int shift, uint64_t mask,
                       uint64_t *restrict packed) {
  int64_t w = 0;
  for (; w + UNROLL_WORDS <= count; w += UNROLL_WORDS)
    for (int i = 0; i < UNROLL_WORDS; i++) packed[w + i] = words[w + i] >> shift & mask;
  for (; w < count; w++) packed[w] = words[w] >> shift & mask;
}

/* Pack one row's words into its place among the panel's rows, a step of vector_words at a time. */
static void pack_row(const esp_bit_multiply *kernel, const uint64_t *row, int64_t n_words,
                     int64_t panel_rows, uint64_t *packed) {
  for (int64_t begin = 0; begin < n_words; begin += kernel->vector_words) {
    const range words = cut(begin, kernel->vector_words, n_words);
    for (int shift = 0; shift < kernel->shifts; shift++) {
      pack_words(row + begin, words.count, 4 * shift, kernel->mask, packed);
      packed += panel_rows * kernel->vector_words;
    }
  }
}

/* Pack rows into panels of panel_rows; rows and words that do not exist are 0. */
static void pack_rows(const esp_bit_multiply *kernel, const bit_rows *rows, range which,
                      range words, int64_t panel_rows, uint64_t *packed) {
  const int64_t vector = kernel->vector_words;
  const int64_t row_words = round_up(words.count, vector) * kernel->shifts;
  memset(packed, 0, (size_t)(round_up(which.count, panel_rows) * row_words) * sizeof *packed);
  for (int64_t r = 0; r < which.count; r++)
    pack_row(kernel, rows->words + (which.begin + r) * rows->stride + words.begin, words.count,
             panel_rows,
             packed + r / panel_rows * panel_rows * row_words + r % panel_rows * vector);
}

/* Where the counts of a panel's rows lie. */
typedef struct places {
  const int64_t *offsets; // (count)
  int64_t count;
} places;

static places find_places(const bit_rows *rows, range which) {
  return (places){rows->offsets + which.begin, which.count};
}

static void add_panel(const int32_t *panel, int y_rows, places x, places y, int32_t *counts) {
  for (int64_t i = 0; i < x.count; i++)
    for (int64_t j = 0; j < y.count; j++)
      counts[x.offsets[i] + y.offsets[j]] += panel[i * y_rows + j];
}

/* What a block of y, packed, needs to be multiplied by all of x. */
typedef struct packed_block {
  range words, y_range;
  uint64_t *x_packed, *y_packed;
} packed_block;

static void multiply_block(const esp_bit_multiply *kernel, const bit_rows *x, const bit_rows *y,
                           const packed_block *block, int32_t *counts) {
  const int64_t steps = round_up(block->words.count, kernel->vector_words) / kernel->vector_words;
  const int64_t row_words = steps * kernel->vector_words * kernel->shifts;
  int32_t panel[ESP_PANEL_CELLS];
  const int64_t y_end = block->y_range.begin + block->y_range.count;
  for (int64_t i = 0; i < x->count; i += kernel->x_rows) {
    const range x_range = cut(i, kernel->x_rows, x->count);
    pack_rows(kernel, x, x_range, block->words, kernel->x_rows, block->x_packed);
    const uint64_t *y_packed = block->y_packed;
    for (int64_t j = block->y_range.begin; j < y_end; j += kernel->y_rows) {
      kernel->multiply(block->x_packed, y_packed, steps, panel);
      add_panel(panel, kernel->y_rows, find_places(x, x_range),
                find_places(y, cut(j, kernel->y_rows, y_end)), counts);
      y_packed += kernel->y_rows * row_words;
    }
  }
}

static void multiply_rows(const esp_bit_multiply *kernel, const bit_rows *x, const bit_rows *y,
                          int32_t *counts) {
  const int64_t row_words = (int64_t)kernel->block_words * kernel->shifts;
  packed_block block = {.x_packed = ESP_NEW(uint64_t, kernel->x_rows * row_words),
                        .y_packed = ESP_NEW(uint64_t, kernel->y_block_rows * row_words)};
  for (int64_t w = 0; w < x->n_words; w += kernel->block_words) {
    block.words = cut(w, kernel->block_words, x->n_words);
    for (int64_t j = 0; j < y->count; j += kernel->y_block_rows) {
      block.y_range = cut(j, kernel->y_block_rows, y->count);
      pack_rows(kernel, y, block.y_range, block.words, kernel->y_rows, block.y_packed);
      multiply_block(kernel, x, y, &block, counts);
    }
  }
  esp_free(&block.x_packed);
  esp_free(&block.y_packed);
}

void esp_count_tile(const esp_bit_multiply *kernel, const esp_tile *tile, int32_t *counts) {
  ESP_ASSERT(tile->x->n_words == tile->y->n_words);
  ESP_ASSERT(tile->x->n_words < INT32_MAX / ESP_WORD_BITS);
  const int x_planes = tile->x->bins - 1, y_planes = tile->y->bins - 1;
  bit_rows x =
      init_rows(tile->x, tile->x_begin, tile->nx, tile->ny * x_planes * y_planes, y_planes);
  bit_rows y = init_rows(tile->y, tile->y_begin, tile->ny, (int64_t)x_planes * y_planes, 1);
  memset(counts, 0, (size_t)esp_tile_count_cells(tile) * sizeof *counts);
  multiply_rows(kernel, &x, &y, counts);
  esp_free(&x.offsets);
  esp_free(&y.offsets);
}
