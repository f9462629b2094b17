/* A pruning under way. */
#ifndef ESPALIER_SRC_PRUNE_JOB_H
#define ESPALIER_SRC_PRUNE_JOB_H

#include "ranker.h"

#include "espalier/prune/report.h"

typedef struct prune_job {
  const esp_comm *comm;
  const esp_prune_request *request;
  prune_journal journal; // what is finished
  esp_stats *stats;      // NULL: nothing reads any
  bool has_collected;    // the statistics, or has begun to
  esp_dataset *data;     // NULL: nothing reads samples
  esp_shard shard;
  bool has_shard;
  const esp_allocation *allocation; // what auto has come to mean
  ranker ranker;
  esp_selection selection; // of units; all of them where other structures go
  double *layer_scores;    // (layers) where whole layers go
  esp_model *pruned;
  esp_prune_report report; // filled on the way; its layers.kept says which stay
  esp_phases phases;
} prune_job;

#endif
