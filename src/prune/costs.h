/* What the files of costs share. All are local. */
#ifndef ESPALIER_SRC_PRUNE_COSTS_H
#define ESPALIER_SRC_PRUNE_COSTS_H

#include "masks.h"
#include "ranker.h"

#include "espalier/prune/cost.h"

/* Features of a site, of the one above it, and those of the latter that are preserved. */
typedef struct joint_pair {
  int64_t features, above, upper;
} joint_pair;
/* Of a stage, with the next site, all logits or its own output above; of the same before anything
 * is cut; of the residual stream as a stage, or the head, reads it. */
joint_pair joint_pair_of_stage(const esp_prune_sketch *sketch, int stage);
joint_pair joint_pair_uncut(const esp_prune_sketch *sketch, int stage);
joint_pair joint_pair_of_reader(const esp_prune_sketch *sketch, int stage);
/* Whether a stage, or the head, reads the stream. */
bool sketch_has_reader(const esp_prune_sketch *sketch, int stage);
/* Whether a stage is ranked; whether it loses any unit. */
bool sketch_selects_stage(const esp_prune_sketch *sketch, int stage);
bool sketch_cuts_stage(const esp_prune_sketch *sketch, int stage);

/* Joint information of a pair, the site's planes being loaded (information.c): its matrices stay;
 * bytes of these. Both ways of its sweeps. */
void joint_pair_add_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                         const joint_pair *pair, esp_cost *cost);
double joint_pair_bytes(const esp_prune_sketch *sketch, const joint_pair *pair);
void joint_pair_add_ways(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                         const joint_pair *pair, esp_sweep_ways *ways);
/* Covariance of a site on its owner, which stays (evidence.c); whether it is counted from planes.
 */
void sketch_add_covariance_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                int64_t features, int owner, esp_cost *cost);
bool sketch_counts_covariance(const esp_prune_sketch *sketch);

/* Members of the structures (structure.h): rank all sites, again from a half of the statistics, and
 * the width after them; choose whole layers; find masks. */
void add_select_cost_of_units(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                              esp_selection_cost *self);
void add_select_cost_of_width(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                              esp_selection_cost *self);
void add_select_cost_of_layers(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                               esp_selection_cost *self);
void add_repair_cost_of_masks(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                              esp_cost *cost);
void add_ways_of_units(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                       esp_sweep_ways *ways);
void add_ways_of_width(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                       esp_sweep_ways *ways);
/* Bytes of /kept and /scores of a site; of all of a structure, and of what the report has of
 * them. */
double file_bytes_of_site(int64_t kept, int64_t units);
double file_bytes_of_units(const esp_prune_sketch *sketch);
double file_bytes_of_width(const esp_prune_sketch *sketch);
double file_bytes_of_layers(const esp_prune_sketch *sketch);

#endif
