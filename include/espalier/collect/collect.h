/* The calibration pass. Stage by stage, each rank runs its micro-batches; hidden states of the
 * shard and one stage's weights are all that is held. */
#ifndef ESPALIER_COLLECT_COLLECT_H
#define ESPALIER_COLLECT_COLLECT_H

#include "espalier/comm/phases.h"
#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"
#include "espalier/flow/shard.h"
#include "espalier/stats/stats.h"

ESP_C_BEGIN

typedef struct esp_collect_options {
  int64_t bins;          // B
  int64_t pilot;         // samples that the edges are computed from
  bool covariance;       // second moments (F, F) of each site
  bool width;            // also what each sub-layer and the head read of the residual stream
  bool halves;           // also the moments of the even-numbered micro-batches alone
  int64_t fisher_tokens; // rows that the Fisher information is computed from, whole micro-batches;
                         // 0: none
  const bool *only;      // (n_stages) stages whose sites are measured, borrowed; NULL: all
  const bool *full;      // (n_stages) those of them with second moments and Fisher information too,
                         // borrowed; NULL: all
  bool leaves_codes;     // no codes, and so no logits: sums alone
  bool leaves_logits;    // no logits
  bool plain_streams;    // no second moments of the residual stream
  bool plain_halves;     // no second moments of the halves
  uint64_t seed;         // of the labels sampled for it
  int64_t top_units;     // logits measured of a vocabulary: those with most probability mass
  double save_every_s;   // least time between savings of what is finished
  bool restart;          // begin again whatever an interrupted collection has left
} esp_collect_options;
/* The options of the command line: all but those from only to plain_halves, which a pruning
 * knows, and seed, save_every_s and restart, which are the run's. */
extern const esp_option_group esp_collect_option_group;

/* Run the shards through the model and write STATS.h5 to path. meta (taken over) is stored with it.
 * What is finished of each site is kept in path.partial and path.journal, and an interrupted run
 * of the same meta is gone on with, at any number of ranks, to the same bytes. NUMERIC: NaN or
 * infinite weights or activations, named; IO; MISMATCH: there is an interrupted run of another meta
 * (it stays); INTERRUPTED: asked to stop, what is finished stays. Nothing stands under path on
 * failure. Collective on comm; equal on all ranks: options, meta, path, and what the shard is dealt
 * from. */
esp_status esp_collect(const esp_comm *comm, esp_model *model, esp_shard *shard,
                       const esp_collect_options *options, json_t *meta, const char *path);

ESP_C_END

#endif
