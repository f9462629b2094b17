/* Structures: what can go. One file each, one row in structures.c. */
#ifndef ESPALIER_SRC_PRUNE_STRUCTURE_H
#define ESPALIER_SRC_PRUNE_STRUCTURE_H

#include "job.h"

#include "espalier/prune/cost.h"

/* An item of --sites. */
typedef struct site_item {
  const char *name;
  double sparsity; // its own, or that of --sparsity
  bool is_own;
} site_item;

struct esp_prune_structure {
  const char *name;
  const char *summary;
  /* Whether --structure and --sites, as taken, ask for it. Local. */
  bool (*is_asked)(const esp_prune_request *request);
  /* Put an item of --sites into the request, *taken; add the names that could be items to names
   * (most in all, *n of them so far). USAGE: it is an item, but not for this model. NULL: it has
   * none. Local. */
  esp_status (*take_site)(esp_prune_request *request, const site_item *item, bool *taken);
  void (*list_sites)(const esp_model *dense, const char **names, int *n);
  /* Put into the request what goes where --sites is not given. NULL: nothing. Local. */
  esp_status (*take_default)(esp_prune_request *request);
  /* USAGE: it does not take the criterion, allocation, repair or other structures asked for. Local.
   */
  esp_status (*check)(const esp_prune_request *request);
  /* Give what shares --sparsity another; the model that is left then, without values, under the
   * uniform allocation. NULL: nothing; with another structure. Local. */
  void (*share)(esp_prune_request *request, double sparsity);
  esp_status (*resize)(const esp_prune_request *request, esp_model **resized);
  /* What it reads of the statistics: whether any (NULL: no more than the units, which are there
   * too), whether second moments, and the option that needs the residual stream (NULL: it is not
   * needed). Local. */
  struct {
    bool (*statistics)(const esp_prune_request *request);
    bool (*covariance)(const esp_prune_request *request);
    const char *(*stream)(const esp_prune_request *request);
    /* Mark sites, and the logits, that are read; codes are told already. NULL: none. */
    void (*sites)(const esp_prune_request *request, esp_prune_extent *extent);
  } reads;
  /* Select what stays, once statistics are open: fills the job's selection, scores and report, and
   * chains the report's checksum. Collective. */
  esp_status (*select)(prune_job *job);
  /* Select again from each half of the statistics, and report how much agrees. NULL: with another
   * structure, or not at all. Collective. */
  esp_status (*measure_stability)(prune_job *job);
  /* Make the pruned model. NULL: with another structure. Local, equal on all ranks. */
  esp_status (*cut_local)(prune_job *job);
  /* Repair it. NULL: with another structure. Collective. */
  esp_status (*repair)(prune_job *job, esp_repair_job *repair);
  /* Write what was kept beside the model. Collective. */
  esp_status (*write)(const prune_job *job, esp_h5 *file);
  /* For plans. Fill a sketch's selection, or, once all have, make its pruned model, so far as the
   * structure does in a pruning. What select, and repair beside the repair itself, take; both ways
   * of their sweeps; bytes that write adds. NULL: nothing. Local. */
  struct {
    void (*fill_selection)(esp_prune_sketch *sketch);
    esp_status (*cut)(esp_prune_sketch *sketch);
    void (*add_select_cost)(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                            esp_selection_cost *self);
    void (*add_repair_cost)(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                            esp_cost *cost);
    void (*add_ways)(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                     esp_sweep_ways *ways);
    double (*count_file_bytes)(const esp_prune_sketch *sketch);
  } sketch;
  bool shares_sparsity; // between kinds of sites: counts can be tried
};

extern const esp_prune_structure prune_structure_units, prune_structure_width,
    prune_structure_layers, prune_structure_masks;
/* The table, ended by NULL; structures are checked, and select, in its order. */
extern const esp_prune_structure *const prune_structures[];

/* Whether one of those asked for ... Local. */
bool structures_read_covariance(const esp_prune_request *request);
const char *structures_read_stream(const esp_prune_request *request);
bool structures_share_sparsity(const esp_prune_request *request);
/* Whether stability can be measured, be it asked for or not. Local. */
bool structures_measure_stability(const esp_prune_request *request);

#endif
