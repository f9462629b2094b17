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

/* Pack one row's words into its place among the panel's rows; words that do not exist are 0. */
static void pack_row(const esp_bit_multiply *kernel, const uint64_t *row, int64_t n_words,
                     int64_t step_words, uint64_t *packed) {
  const int64_t steps = n_words / kernel->vector_words, whole = steps * kernel->vector_words;
  kernel->pack(row, steps, step_words, packed);
  if (whole == n_words) return;
  uint64_t last[ESP_VECTOR_WORDS] = {0};
  memcpy(last, row + whole, (size_t)(n_words - whole) * sizeof *row);
  kernel->pack(last, 1, step_words, packed + steps * kernel->shifts * step_words);
}

/* Pack rows into panels of panel_rows; rows that do not exist are 0. */
static void pack_rows(const esp_bit_multiply *kernel, const bit_rows *rows, range which,
                      range words, int64_t panel_rows, uint64_t *packed) {
  const int64_t vector = kernel->vector_words, step_words = panel_rows * vector;
  const int64_t row_words = round_up(words.count, vector) * kernel->shifts;
  if (which.count % panel_rows != 0)
    memset(packed + which.count / panel_rows * panel_rows * row_words, 0,
           (size_t)(panel_rows * row_words) * sizeof *packed);
  for (int64_t r = 0; r < which.count; r++)
    pack_row(kernel, rows->words + (which.begin + r) * rows->stride + words.begin, words.count,
             step_words,
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

static void add_row(const int32_t *restrict panel, const int64_t *restrict offsets, int64_t count,
                    int32_t *restrict counts) {
  for (int64_t j = 0; j < count; j++) counts[offsets[j]] += panel[j];
}

static void add_panel(const int32_t *panel, int y_rows, places x, places y, int32_t *counts) {
  for (int64_t i = 0; i < x.count; i++)
    add_row(panel + i * y_rows, y.offsets, y.count, counts + x.offsets[i]);
}

/* A block of x, packed to stay in the L2 cache, and a panel of y for the L1 cache. */
typedef struct packed_block {
  range words, x_range;
  int64_t row_words;
  uint64_t *x_packed, *y_packed;
} packed_block;

static void multiply_panel(const esp_bit_multiply *kernel, const packed_block *block,
                           const bit_rows *x, places y, int32_t *counts) {
  const int64_t steps = block->row_words / kernel->vector_words / kernel->shifts;
  int32_t panel[ESP_PANEL_CELLS];
  const uint64_t *x_packed = block->x_packed;
  const int64_t x_end = block->x_range.begin + block->x_range.count;
  for (int64_t i = block->x_range.begin; i < x_end; i += kernel->x_rows) {
    kernel->multiply(x_packed, block->y_packed, steps, panel);
    add_panel(panel, kernel->y_rows, find_places(x, cut(i, kernel->x_rows, x_end)), y, counts);
    x_packed += kernel->x_rows * block->row_words;
  }
}

static void multiply_block(const esp_bit_multiply *kernel, const bit_rows *x, const bit_rows *y,
                           const packed_block *block, int32_t *counts) {
  for (int64_t j = 0; j < y->count; j += kernel->y_rows) {
    const range y_range = cut(j, kernel->y_rows, y->count);
    pack_rows(kernel, y, y_range, block->words, kernel->y_rows, block->y_packed);
    multiply_panel(kernel, block, x, find_places(y, y_range), counts);
  }
}

static void multiply_rows(const esp_bit_multiply *kernel, const bit_rows *x, const bit_rows *y,
                          int32_t *counts) {
  const int64_t words =
      round_up(cut(0, kernel->block_words, x->n_words).count, kernel->vector_words);
  const int64_t most_words = words * kernel->shifts;
  const int64_t x_rows = round_up(cut(0, kernel->x_block_rows, x->count).count, kernel->x_rows);
  packed_block block = {.x_packed = ESP_NEW(uint64_t, x_rows * most_words),
                        .y_packed = ESP_NEW(uint64_t, kernel->y_rows * most_words)};
  for (int64_t w = 0; w < x->n_words; w += kernel->block_words) {
    block.words = cut(w, kernel->block_words, x->n_words);
    block.row_words = round_up(block.words.count, kernel->vector_words) * kernel->shifts;
    for (int64_t i = 0; i < x->count; i += kernel->x_block_rows) {
      block.x_range = cut(i, kernel->x_block_rows, x->count);
      pack_rows(kernel, x, block.x_range, block.words, kernel->x_rows, block.x_packed);
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
