#include "espalier/sweep/cost.h"

#include "espalier/comm/cost.h"
#include "espalier/core/memory.h"
#include "espalier/information/information.h"

#include <math.h>

/* A count of a pair and its logarithm take as long as so many elementwise values (measured). */
enum { CELL = 8 };

static void add_marginals(const esp_sweep_shape *shape, double units, int bins, esp_cost *cost) {
  esp_cost_send(cost, shape->ranks, ESP_ALLREDUCE, sizeof(int64_t) * units * (bins - 1));
}

static void add_counts(const esp_sweep_shape *shape, esp_cost *cost) {
  const esp_sweep_cost sweep = esp_sweep_compute_cost(shape);
  cost->work.values += CELL * (double)sweep.cells;
  if (esp_sweep_choose(shape) == ESP_REDUCE_EXCHANGE) {
    esp_cost_touch(cost, sweep.panel_bytes);
    esp_cost_send(cost, shape->ranks, ESP_EXCHANGE, sweep.exchanged_bytes);
    cost->work.words += sweep.exchange_words;
    cost->work.reduced += sweep.exchanged_bytes_max / 2.0; // an allreduce moves its buffer twice
  } else {
    esp_cost_send(cost, shape->ranks, ESP_IALLREDUCE, sweep.reduced_bytes);
    cost->work.words += sweep.allreduce_words;
    cost->work.reduced += sweep.reduced_bytes;
  }
}

static double table_bytes(int64_t samples) {
  return sizeof(double) * (double)esp_entropy_table_count(samples);
}

/* Every rank has the elements of its tiles, and gets the others. */
static void add_gather(const esp_sweep_shape *shape, esp_cost *cost) {
  const double elements = (double)(shape->x_units * shape->y_units);
  esp_cost_touch(cost, esp_reduction_bytes(shape->ranks, elements, sizeof(float)));
  esp_cost_send(cost, shape->ranks, ESP_ALLREDUCE, sizeof(float) * elements);
}

void esp_sweep_add_information_cost(const esp_sweep_shape *shape, esp_cost *cost) {
  const double table = table_bytes(shape->samples);
  add_marginals(shape, (double)shape->x_units, shape->x_bins, cost);
  add_marginals(shape, (double)shape->y_units, shape->y_bins, cost);
  esp_cost_hold(cost, table);
  add_counts(shape, cost);
  add_gather(shape, cost);
  esp_cost_hold(cost, -table);
  cost->work.values += (double)shape->samples; // logarithms of the table
}

/* Equal-frequency bins, packed: the words of a plane of one bin's samples, (ranks). */
static int64_t *count_bin_words(const esp_sweep_shape *shape) {
  double words = 0.0;
  int64_t *of_bin = ESP_NEW(int64_t, shape->ranks);
  for (int r = 0; r < shape->ranks; r++) words += (double)shape->words[r];
  const double samples_a_word = words > 0.0 ? (double)shape->samples / words : 0.0;
  for (int r = 0; r < shape->ranks; r++)
    of_bin[r] =
        (int64_t)ceil((double)shape->words[r] * samples_a_word / (shape->x_bins * ESP_WORD_BITS));
  return of_bin;
}

static double plane_bytes(const esp_sweep_shape *shape) {
  return sizeof(uint64_t) * (double)(shape->x_units * (shape->x_bins - 1) * shape->words[0]);
}

/* The samples of every bin of every target are packed, and swept like any others; words are the
 * caller's. */
static esp_sweep_shape shape_of_bin(const esp_sweep_shape *shape, const int64_t *words) {
  esp_sweep_shape bin = *shape;
  bin.words = words;
  bin.samples = shape->samples / shape->x_bins;
  return bin;
}

void esp_sweep_add_conditional_cost(const esp_sweep_shape *shape, int64_t targets, esp_cost *cost) {
  int64_t *words = count_bin_words(shape);
  const esp_sweep_shape bin = shape_of_bin(shape, words);
  esp_cost one = {0};
  const double held = plane_bytes(&bin) + table_bytes(bin.samples);
  esp_cost_hold(&one, held);
  add_marginals(&bin, (double)bin.x_units, bin.x_bins, &one);
  add_counts(&bin, &one);
  esp_cost_hold(&one, -held);
  esp_cost_repeat(&one, (double)(targets * shape->x_bins));
  add_marginals(shape, (double)targets, shape->x_bins, cost);
  esp_cost_add(cost, &one);
  add_gather(shape, cost);
  cost->work.values += (double)shape->samples;
  esp_free(&words);
}

void esp_sweep_add_correlation_cost(const esp_sweep_shape *shape, esp_cost *cost) {
  add_marginals(shape, (double)shape->x_units, shape->x_bins, cost);
  add_marginals(shape, (double)shape->x_units, shape->x_bins, cost);
  add_counts(shape, cost);
}

void esp_sweep_add_matched_cost(const esp_sweep_shape *shape, esp_cost *cost) {
  const double units = (double)shape->x_units;
  const double cells = units * (shape->x_bins - 1) * (shape->y_bins - 1);
  int64_t most = 0;
  for (int r = 0; r < shape->ranks; r++) most = shape->words[r] > most ? shape->words[r] : most;
  esp_cost_touch(cost, sizeof(int32_t) * cells + table_bytes(shape->samples));
  esp_cost_send(cost, shape->ranks, ESP_ALLREDUCE, sizeof(int32_t) * cells);
  add_marginals(shape, units, shape->x_bins, cost);
  add_marginals(shape, units, shape->y_bins, cost);
  cost->work.words += cells * (double)most;
}

static void add_ways(const esp_sweep_shape *shape, double times, esp_sweep_ways *ways) {
  const esp_sweep_cost sweep = esp_sweep_compute_cost(shape);
  ways->sweeps += times;
  if (esp_sweep_choose(shape) == ESP_REDUCE_EXCHANGE) ways->exchanges += times;
  ways->allreduce_bytes += times * sweep.reduced_bytes;
  ways->allreduce.reduced += times * sweep.reduced_bytes;
  ways->allreduce.words += times * sweep.allreduce_words;
  ways->exchange_bytes += times * sweep.exchanged_bytes;
  ways->exchange.reduced += times * sweep.exchanged_bytes / 2.0;
  ways->exchange.words += times * sweep.exchange_words;
}

void esp_sweep_add_ways(const esp_sweep_shape *shape, int64_t targets, esp_sweep_ways *ways) {
  if (targets > 0) {
    int64_t *words = count_bin_words(shape);
    const esp_sweep_shape bin = shape_of_bin(shape, words);
    add_ways(&bin, (double)(targets * shape->x_bins), ways);
    esp_free(&words);
  } else {
    add_ways(shape, 1.0, ways);
  }
}
