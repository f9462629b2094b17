/* What the files of the main job share. */
#ifndef ESPALIER_SRC_PIPELINE_PIPELINE_H
#define ESPALIER_SRC_PIPELINE_PIPELINE_H

#include "espalier/collect/stats.h"
#include "espalier/comm/phases.h"
#include "espalier/pipeline/settings.h"
#include "espalier/select/criterion.h"
#include "espalier/surgery/repair.h"

/* A pruning under way. */
typedef struct prune_job {
  const esp_comm *comm;
  const esp_settings *settings;
  const esp_criterion *criterion;
  const esp_repair *repair;
  esp_model *dense, *pruned;
  esp_dataset *data; // NULL when nothing needs samples
  esp_shard shard;
  bool has_shard;
  esp_stats *stats;
  esp_selection selection;
  double *sparsity; // (n_stages): of units; below 0: the site is not pruned
  double **scores;  // (n_stages): (U)
  json_t *sites;    // report, one object a site, from the bottom
  json_t *repairs;  // report of the repair, by site
  uint64_t checksum;
  esp_phases phases;
} prune_job;

/* What is known of a site: owns the arrays that an esp_evidence borrows. */
typedef struct site_evidence {
  float *information; // (F + noise, P)
  double *covariance; // (F, F), rank 0 only
  float *map;         // (outputs, F)
  double *moments;    // (4, F): mean, variance, norm, activation
  double *producer_norm, *consumer_norm; // (U)
  int64_t *upper;     // kept features of the site above
  int64_t n_upper;
  double *null_level; // (noise units): mean information with the units above
} site_evidence;

enum { NOISE_UNITS = 16 };

/* Gather what the criterion needs for one stage, given the selection of those above. Collective. */
esp_status evidence_gather(prune_job *job, int stage, site_evidence *self, esp_evidence *evidence);
void evidence_clear(site_evidence *self);

/* Euclidean norms of each unit's producers and consumers, (U) each. Loads what it reads. Local. */
esp_status compute_unit_norms(esp_model *model, int stage, double *producers, double *consumers);

/* Read --sites and --sparsity into job->sparsity. USAGE: a kind that the model lacks, a sparsity out of range.
 * Local. */
esp_status choose_sites(prune_job *job);

/* Select from the top: fills selection, scores, sites and checksum. Collective. */
esp_status run_chain(prune_job *job);

/* Write PRUNED.h5, and make its report (without times). Collective. */
json_t *make_report(const prune_job *job);
esp_status write_pruned(prune_job *job, const json_t *report);

#endif
