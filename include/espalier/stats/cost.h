/* What STATS.h5, and what is read of it, takes. */
#ifndef ESPALIER_STATS_COST_H
#define ESPALIER_STATS_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/flow/shape.h"
#include "espalier/stats/stats.h"

ESP_C_BEGIN

/* Sizes of statistics, or of a half of them. Caller's struct; members are read-only outside cost.c.
 */
typedef struct esp_stats_shape {
  int ranks, bins;
  bool lacks_codes;               // only sums are there
  bool has_halves;                // the even-numbered micro-batches' moments are there
  bool plain_halves;              // without second ones
  esp_half half;                  // which micro-batches
  int64_t n_batches, words, rows; // M, W, S; of the half
  int64_t *rank_words;            // (ranks): of a plane; of the half; owned
  double file_words;              // of a plane on rank 0, of all micro-batches
} esp_stats_shape;

/* Of statistics of these samples; of one half of theirs. Local. */
void esp_stats_shape_init(esp_stats_shape *self, const esp_shard_shape *samples, int bins,
                          bool has_halves);
void esp_stats_shape_init_half(esp_stats_shape *self, const esp_shard_shape *samples,
                               const esp_stats_shape *whole, esp_half half);
void esp_stats_shape_clear(esp_stats_shape *self);

/* Bytes of planes on rank 0. Local. */
double esp_stats_plane_bytes(const esp_stats_shape *shape, double units);

/* Open the file: what describes it. Local. */
void esp_stats_add_open_cost(const esp_stats_shape *shape, esp_cost *cost);
/* Load one site: planes and covariance where asked, and these stay; or its covariance on one rank,
 * into an array of the caller's. Local. */
void esp_stats_add_load_cost(const esp_stats_shape *shape, double features, unsigned what,
                             esp_cost *cost);
void esp_stats_add_matrix_cost(const esp_stats_shape *shape, double features, esp_cost *cost);

/* Bytes in the file: of what is there once, of a site, of a stage's Fisher information. Local. */
double esp_stats_head_bytes(const esp_stats_shape *shape);
double esp_stats_site_bytes(const esp_stats_shape *shape, double features, bool has_covariance);
double esp_stats_fisher_bytes(double outputs);

ESP_C_END

#endif
