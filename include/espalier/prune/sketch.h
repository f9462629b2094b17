/* A pruning before it runs, in the sizes that it will have: these do not depend on which units
 * stay. Costs (prune/cost.h) are computed from it. All functions are local. */
#ifndef ESPALIER_PRUNE_SKETCH_H
#define ESPALIER_PRUNE_SKETCH_H

#include "espalier/collect/command.h"
#include "espalier/core/c_linkage.h"
#include "espalier/flow/shape.h"
#include "espalier/prune/request.h"
#include "espalier/stats/stats.h"
#include "espalier/surgery/cut.h"

ESP_C_BEGIN

typedef struct esp_prune_sketch {
  const esp_prune_request *request; // borrowed
  int ranks;
  esp_selection selection;     // of every site the first units
  int64_t n_layers;            // whole layers that stay; below 0: units go
  esp_model *pruned;           // owned; without values
  bool *depends;               // (n_stages) whether a ranking depends on what is kept above
  bool is_priced;              // all stages are ranked once before any is cut
  bool tries;                  // counts, by trial cuts
  esp_collect_options collect; // as the statistics are collected
  int64_t logits;              // that they have
  bool has_metric;             // and the Fisher information, which the criterion reads
} esp_prune_sketch;

/* Choose and cut as the request would on so many ranks, without statistics. USAGE: as a pruning
 * would say. */
esp_status esp_prune_sketch_new(const esp_prune_request *request, int ranks,
                                esp_prune_sketch **sketch);
void esp_prune_sketch_free(esp_prune_sketch **sketch);

/* Take the rest from open statistics, or from the samples that are collected. MISMATCH: the
 * criterion uses no data, but the statistics do. */
esp_status esp_prune_sketch_read(esp_prune_sketch *sketch, const esp_stats *stats);
void esp_prune_sketch_collect(esp_prune_sketch *sketch, const esp_shard_shape *samples);

/* How statistics are collected that are not given. */
esp_collect_settings esp_prune_collection_of(const esp_prune_request *request);
/* Where the samples of statistics were, for a second pass over them: as asked, but as many, and
 * dealt, as when they were collected. Texts are borrowed from the statistics. */
esp_samples esp_prune_samples_of(const esp_prune_request *request, const esp_stats_about *about);

ESP_C_END

#endif
