/* Trial cuts: what a choice of counts loses, measured. */
#ifndef ESPALIER_SRC_PRUNE_TRIAL_H
#define ESPALIER_SRC_PRUNE_TRIAL_H

#include "allocate.h"
#include "ranker.h"

typedef struct trial_context {
  ranker *ranker;          // orders of the sites, statistics, journal
  const esp_dataset *data; // calibration sequences
  const esp_shard *shard;
  esp_allocation_report *report; // gets a row a trial
} trial_context;

/* Cut the sites to their n_kept, refit, and take the loss: an esp_allocation_trial. Collective. */
esp_status trial_run(void *context, const esp_allocation_job *job, double *loss);

#endif
