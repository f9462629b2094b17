#include "espalier/stats/cost.h"

#include "stats_internal.h"

#include "espalier/core/memory.h"
#include "espalier/io/cost.h"

/* What HDF5 adds to contiguous data (measured): superblock, root group, /meta and /valid; a group
 * with seven datasets; the group of its half, with five. */
enum { HEAD_BYTES = 4100, SITE_BYTES = 2432, HALF_BYTES = 1400 };

enum { MOMENTS = 4 }; // mean, variance, norm, activation

static bool is_member(esp_half half, int64_t batch) {
  return half == ESP_WHOLE || batch % 2 == (half == ESP_ODD);
}

static void deal(esp_stats_shape *self, const esp_shard_shape *samples) {
  self->n_batches = stats_count_below(self->half, samples->n_batches);
  self->rows = 0;
  for (int64_t i = 0; i < samples->n_batches; i++)
    if (is_member(self->half, i)) self->rows += samples->valid[i];
  self->rank_words = ESP_NEW(int64_t, samples->ranks);
  for (int64_t r = 0, begin = 0; r < samples->ranks; r++) {
    const int64_t end = begin + esp_shard_shape_count(samples, (int)r);
    const int64_t count = stats_count_below(self->half, end) - stats_count_below(self->half, begin);
    self->rank_words[r] = count * self->words;
    begin = end;
  }
}

void esp_stats_shape_init(esp_stats_shape *self, const esp_shard_shape *samples, int bins,
                          bool has_halves) {
  *self = (esp_stats_shape){.ranks = samples->ranks, .bins = bins, .has_halves = has_halves};
  self->words = (samples->batch_rows + ESP_WORD_BITS - 1) / ESP_WORD_BITS;
  deal(self, samples);
  self->file_words = (double)self->rank_words[0];
}

void esp_stats_shape_init_half(esp_stats_shape *self, const esp_shard_shape *samples,
                               const esp_stats_shape *whole, esp_half half) {
  *self = *whole;
  self->half = half;
  deal(self, samples);
}

void esp_stats_shape_clear(esp_stats_shape *self) {
  esp_free(&self->rank_words);
}

/* There even without codes. */
static double edge_bytes(const esp_stats_shape *shape, double features) {
  return sizeof(float) * features * (shape->bins - 1);
}

static double count_planes(const esp_stats_shape *shape, double units) {
  return shape->lacks_codes ? 0.0 : units * (shape->bins - 1);
}

double esp_stats_plane_bytes(const esp_stats_shape *shape, double units) {
  return sizeof(uint64_t) * count_planes(shape, units) * (double)shape->rank_words[0];
}

void esp_stats_add_open_cost(const esp_stats_shape *shape, esp_cost *cost) {
  enum { META_BYTES = 5000 }; // a typical one
  esp_cost_send(cost, shape->ranks, ESP_BCAST, META_BYTES);
}

static double moment_bytes(double features) {
  return MOMENTS * sizeof(double) * features;
}

/* The odd half is what the even one leaves of the whole, so that both are read. */
static double count_reads(const esp_stats_shape *shape) {
  return shape->half == ESP_ODD ? 2.0 : 1.0;
}

/* Planes as the file has them, then as the kernels want them. */
void esp_stats_add_load_cost(const esp_stats_shape *shape, double features, unsigned what,
                             esp_cost *cost) {
  const double planes = count_planes(shape, features), reads = count_reads(shape);
  const double covariance = what & ESP_LOAD_COVARIANCE ? sizeof(float) * features * features : 0.0;
  if (what & ESP_LOAD_PLANES) {
    esp_cost_hold(cost, esp_stats_plane_bytes(shape, features));
    esp_cost_touch(cost, sizeof(uint64_t) * planes * shape->file_words);
  }
  esp_cost_touch(cost, reads * covariance);
  esp_cost_hold(cost, covariance);
  esp_cost_send(cost, shape->ranks, ESP_BCAST,
                edge_bytes(shape, features) + reads * (moment_bytes(features) + covariance));
}

void esp_stats_add_matrix_cost(const esp_stats_shape *shape, double features, esp_cost *cost) {
  if (shape->half != ESP_ODD) return;
  esp_cost_touch(cost, sizeof(float) * features * features);
  esp_cost_send(cost, shape->ranks, ESP_BCAST, 2.0 * moment_bytes(features));
}

double esp_stats_head_bytes(const esp_stats_shape *shape) {
  return HEAD_BYTES + sizeof(int64_t) * (double)shape->n_batches;
}

double esp_stats_site_bytes(const esp_stats_shape *shape, double features, bool has_covariance) {
  const double planes = count_planes(shape, features), vectors = moment_bytes(features);
  const double moments = vectors + (has_covariance ? sizeof(float) * features * features : 0.0);
  return SITE_BYTES + edge_bytes(shape, features) +
         sizeof(uint64_t) * planes * (double)(shape->n_batches * shape->words) + moments +
         (shape->has_halves ? HALF_BYTES + (shape->plain_halves ? vectors : moments) : 0.0);
}

double esp_stats_fisher_bytes(double outputs) {
  return ESP_H5_OBJECT_BYTES + sizeof(float) * outputs * outputs;
}
