/* What the selection of a pruning takes, its recovery, and what it writes beside the model. All are
 * local but for the recovery's. */
#ifndef ESPALIER_PRUNE_COST_H
#define ESPALIER_PRUNE_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/prune/sketch.h"
#include "espalier/stats/cost.h"
#include "espalier/sweep/cost.h"
#include "espalier/train/cost.h"

ESP_C_BEGIN

/* A selection has two phases. */
typedef struct esp_selection_cost {
  esp_cost counts, select;
} esp_selection_cost;

/* Whether anything is selected before the cut: not where weights are masked. */
bool esp_prune_selects(const esp_prune_sketch *sketch);
/* Select from statistics of these sizes, whole or a half. */
void esp_prune_add_selection_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                  esp_selection_cost *self);
/* Whether the selection is made again from each half of so many micro-batches. */
bool esp_prune_measures_stability(const esp_prune_sketch *sketch, int64_t n_batches);
/* What structures do beside the repair: masks, which stay. */
void esp_prune_add_structure_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                  esp_cost *cost);
/* Bytes that the BLAS keeps once sites have been ranked. */
double esp_prune_packed_bytes(const esp_prune_sketch *sketch);
/* Both ways of all sweeps of joint counts. */
void esp_prune_add_ways(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                        esp_sweep_ways *ways);

/* Train after the repair, on the data that was named, or that the statistics were made from (NULL:
 * there are none); all 0 where nothing was asked. Opens the data; what the job itself would say.
 * Collective on comm; equal on all ranks: all that goes in. */
esp_status esp_prune_compute_recovery_cost(const esp_comm *comm, const esp_prune_sketch *sketch,
                                           const esp_stats_about *about, esp_train_cost *cost);

/* Bytes of PRUNED.h5 beside the model; rounds of samples, 0: none. */
double esp_prune_file_bytes(const esp_prune_sketch *sketch, int64_t rounds);

ESP_C_END

#endif
