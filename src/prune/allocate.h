/* How many units the stages keep. The width has a sparsity of its own. */
#ifndef ESPALIER_SRC_PRUNE_ALLOCATE_H
#define ESPALIER_SRC_PRUNE_ALLOCATE_H

#include "rules.h"

#include "espalier/prune/report.h"

typedef struct allocate_task {
  const esp_prune_request *request;
  const esp_allocation *allocation;
  const double *sparsity; // (n_stages) of units; below 0: not pruned
  bool is_in_nats;        // scores are prices by Fisher information
  int64_t *const *order;  // (n_stages): (units), NULL: not ranked; likewise scores
  double *const *scores;
  const double *whole;        // (n_stages); NULL: not priced
  esp_allocation_trial trial; // NULL: counts cannot be tried
  void *context;
} allocate_task;

/* Fill the report: n_kept of every stage, and what came of it; trials are the context's to add.
 * USAGE. Local, but collective where the allocation needs trials. */
esp_status allocate_units(const allocate_task *task, esp_allocation_report *report);
void allocation_report_clear(esp_allocation_report *report);
/* What the figures should be read with, in the log. Local. */
void allocate_warn(const allocate_task *task, const esp_allocation_report *report);

/* How many units the stages (n_stages) keep where each loses its sparsity of them. Local. */
void allocate_uniformly(const esp_prune_request *request, int64_t *n_kept);

#endif
