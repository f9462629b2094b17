#include "sweep_internal.h"

#include "espalier/core/memory.h"

/* Word operations (AND, popcount, add) that take as long as a byte over the network: measured, a
 * core of AVX-512 does 1e10 a second, and 1e9 bytes a second are a good share of a node's link. */
static const double WORDS_A_BYTE = 10.0;

static int64_t count_words(const esp_sweep_shape *shape, int64_t *most) {
  int64_t sum = 0;
  *most = 0;
  for (int r = 0; r < shape->ranks; r++) {
    sum += shape->words[r];
    *most = shape->words[r] > *most ? shape->words[r] : *most;
  }
  return sum;
}

static int64_t count_needed(const sweep_tiles *tiles, const sweep_needs *needs, int64_t units,
                            int rank) {
  int64_t sum = 0;
  for (int64_t t = needs->begin; t < needs->begin + needs->count; t++)
    if (sweep_needs_has(needs, rank, t)) sum += sweep_count_units(tiles, units, t);
  return sum;
}

/* Planes that each rank fetches, (ranks) doubles added to. */
static void add_planes(const sweep_tiles *tiles, const sweep_needs *needs, int64_t units, int bins,
                       const esp_sweep_shape *shape, double *planes) {
  for (int r = 0; r < shape->ranks; r++)
    planes[r] += (double)(count_needed(tiles, needs, units, r) * (bins - 1));
}

static void add_rows(const sweep_tiles *tiles, const esp_sweep_shape *shape, int64_t words,
                     sweep_part columns, double *planes) {
  const int64_t most = sweep_panel_tiles(tiles, shape->x_bins, words);
  for (int64_t begin = 0; begin < tiles->down; begin += most) {
    const int64_t end = begin + most < tiles->down ? begin + most : tiles->down;
    sweep_needs needs;
    sweep_needs_init(&needs, shape->ranks, begin, end - begin);
    columns.i_begin = begin;
    columns.i_end = end;
    sweep_mark(tiles, columns, shape->ranks, &needs, NULL);
    add_planes(tiles, &needs, shape->x_units, shape->x_bins, shape, planes);
    sweep_needs_clear(&needs);
  }
}

/* As sweep_exchange.c fetches them. */
static void add_columns(const sweep_tiles *tiles, const esp_sweep_shape *shape, int64_t words,
                        double *planes) {
  const int64_t most = sweep_panel_tiles(tiles, shape->y_bins, words);
  const bool is_shared = tiles->is_symmetric && most >= tiles->across;
  for (int64_t begin = 0; begin < tiles->across; begin += most) {
    const int64_t end = begin + most < tiles->across ? begin + most : tiles->across;
    const sweep_part part = {0, tiles->down, begin, end};
    sweep_needs needs;
    sweep_needs_init(&needs, shape->ranks, begin, end - begin);
    sweep_mark(tiles, part, shape->ranks, is_shared ? &needs : NULL, &needs);
    add_planes(tiles, &needs, shape->y_units, shape->y_bins, shape, planes);
    sweep_needs_clear(&needs);
    if (!is_shared) add_rows(tiles, shape, words, part, planes);
  }
}

/* Counts that the one visitor gets from the ranks that counted them, (ranks) doubles added to. */
static void add_counts(const sweep_tiles *tiles, const esp_sweep_shape *shape, double *bytes) {
  const int64_t planes = (shape->x_bins - 1) * (shape->y_bins - 1), visitor = tiles->visitor - 1;
  for (int64_t i = 0; visitor >= 0 && i < tiles->down; i++)
    for (int64_t j = sweep_first_column(tiles, i); j < tiles->across; j++)
      if (sweep_tile_number(tiles, i, j) % shape->ranks != visitor)
        bytes[visitor] += 4.0 * (double)(sweep_count_units(tiles, tiles->x_units, i) *
                                         sweep_count_units(tiles, tiles->y_units, j) * planes);
}

static void set_exchanged(const sweep_tiles *tiles, const esp_sweep_shape *shape, int64_t words,
                          esp_sweep_cost *cost) {
  double *planes = ESP_NEW(double, shape->ranks), *counts = ESP_NEW(double, shape->ranks);
  add_columns(tiles, shape, words, planes);
  add_counts(tiles, shape, counts);
  for (int r = 0; r < shape->ranks; r++) {
    const double others = (double)(words - shape->words[r]) * sizeof(uint64_t);
    const double bytes = planes[r] * others + counts[r];
    const double held = planes[r] * (double)words * sizeof(uint64_t);
    cost->exchanged_bytes += bytes / shape->ranks;
    if (bytes > cost->exchanged_bytes_max) cost->exchanged_bytes_max = bytes;
    if (held > cost->panel_bytes) cost->panel_bytes = held;
  }
  esp_free(&planes);
  esp_free(&counts);
}

static double limit_panels(const sweep_tiles *tiles, const esp_sweep_shape *shape, int64_t words,
                           double bytes) {
  const double x = (double)(sweep_panel_tiles(tiles, shape->x_bins, words) * (shape->x_bins - 1));
  const double y = (double)(sweep_panel_tiles(tiles, shape->y_bins, words) * (shape->y_bins - 1));
  const double limit = (x + y) * (double)(tiles->side * words) * sizeof(uint64_t);
  return bytes < limit ? bytes : limit;
}

esp_sweep_cost esp_sweep_compute_cost(const esp_sweep_shape *shape) {
  const sweep_tiles tiles = sweep_tiles_of_shape(shape);
  int64_t most_words;
  const int64_t words = count_words(shape, &most_words), n = sweep_count_tiles(&tiles);
  const int64_t planes = (shape->x_bins - 1) * (shape->y_bins - 1);
  esp_sweep_cost cost = {.tiles = n};
  for (int64_t i = 0; i < tiles.down; i++)
    cost.cells += sweep_count_units(&tiles, tiles.x_units, i) * planes *
                  (tiles.y_units - sweep_first_column(&tiles, i) * tiles.side);
  cost.reduced_bytes = (double)cost.cells * sizeof(int32_t);
  cost.allreduce_words = (double)cost.cells * (double)most_words;
  cost.exchange_words = n > 0 ? (double)cost.cells / (double)n * (double)words *
                                    (double)((n + shape->ranks - 1) / shape->ranks)
                              : 0.0;
  set_exchanged(&tiles, shape, words, &cost);
  cost.panel_bytes = limit_panels(&tiles, shape, words, cost.panel_bytes);
  return cost;
}

/* A kernel counts fewer than 2^31 samples, those that do not exist included. */
static bool fits_one_kernel(const esp_sweep_shape *shape) {
  int64_t most;
  return count_words(shape, &most) < INT32_MAX / ESP_WORD_BITS;
}

esp_reduce esp_sweep_choose(const esp_sweep_shape *shape) {
  if (!fits_one_kernel(shape)) return ESP_REDUCE_ALLREDUCE;
  if (shape->reduce > ESP_REDUCE_AUTO) return shape->reduce;
  if (shape->ranks == 1) return ESP_REDUCE_ALLREDUCE;
  const esp_sweep_cost cost = esp_sweep_compute_cost(shape);
  const double wire = 2.0 * (shape->ranks - 1) / shape->ranks;
  const double allreduce = wire * cost.reduced_bytes + cost.allreduce_words / WORDS_A_BYTE;
  const double exchange = cost.exchanged_bytes_max + cost.exchange_words / WORDS_A_BYTE;
  return exchange < allreduce ? ESP_REDUCE_EXCHANGE : ESP_REDUCE_ALLREDUCE;
}
