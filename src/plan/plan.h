/* What the files of the plan share. */
#ifndef ESPALIER_SRC_PIPELINE_PLAN_H
#define ESPALIER_SRC_PIPELINE_PLAN_H

#include "pipeline.h"

#include "espalier/sweep/cost.h"

/* Speeds of this machine, one rank, and what a rank holds before any data. */
typedef struct plan_machine {
  double flops_per_s, words_per_s, copy_bytes_per_s;
  double values_per_s;       // of an elementwise pass with an exponential
  double solver_flops_per_s; // double precision, in a distributed solve
  double solve_s;            // a solve of next to nothing
  double reduce_bytes_per_s; // of an allreduced buffer; 0: measured on one rank, copies instead
  double base_bytes;
} plan_machine;

/* Samples, and statistics of them. */
typedef struct plan_samples {
  esp_shard_shape shard;
  esp_stats_shape stats[3]; // by esp_half
} plan_samples;

/* The job as it would run. */
typedef struct plan_job {
  prune_job job;   // dense and cut model, sites, criterion, repair
  esp_stats stats; // a stand-in: its meta alone
  const esp_comm *comm;
  int ranks, ranks_per_node;
  bool collects;
  esp_collect_options collect; // as the statistics are collected
  int64_t logits;              // that they have
  bool has_metric;             // and the Fisher information, which the criterion reads
  bool *depends;               // (n_stages): whether a ranking hangs on what is kept above
  bool is_priced;              // all stages are ranked once before any is cut
  bool tries;                  // counts, by trial cuts
  plan_samples samples;
  int64_t doublings;     // of the samples, before this last collection
  plan_samples *earlier; // (doublings): those of each collection before; NULL
  plan_samples *fit;     // those that the repair reads; NULL: the same
  plan_machine machine;
} plan_job;

/* Read how many samples there are and how they are dealt: fills collects to has_metric, samples to
 * fit. USAGE: what the job itself would refuse of them. Collective. */
esp_status plan_read_samples(plan_job *plan);
void plan_clear_samples(plan_job *plan);
/* The samples that the repair reads; and whether it reads any. Local. */
const plan_samples *plan_samples_of_repair(const plan_job *plan);
bool plan_repair_reads(const plan_job *plan);
/* Whether samples are open while units are selected and consumers repaired. Local. */
bool plan_holds_samples(const plan_job *plan);

/* Whether the selection is made again from both halves. Local. */
bool plan_has_stability(const plan_job *plan);
bool plan_is_selected(const plan_job *plan, int stage);
/* Whether it loses any unit. Local. */
bool plan_is_cut(const plan_job *plan, int stage);

/* Features of a site, of the one above it, and those of the latter that are preserved. */
typedef struct plan_pair {
  int64_t features, above, upper;
} plan_pair;
/* Of a stage, with the next site, all logits or its own output above; of the same before anything
 * is cut; of the residual stream as a stage, or the head, reads it. Local. */
plan_pair plan_pair_of_stage(const plan_job *plan, int stage);
plan_pair plan_pair_uncut(const plan_job *plan, int stage);
plan_pair plan_pair_of_reader(const plan_job *plan, int stage);
/* Whether a stage, or the head, reads the stream. Local. */
bool plan_has_reader(const plan_job *plan, int stage);
/* Call a function with every pair whose information is computed from all samples, in order: the
 * stages' before anything is cut, the stages', the readers'. Local. */
typedef void (*plan_visit)(const plan_job *plan, const plan_pair *pair, void *context);
void plan_for_each_pair(const plan_job *plan, plan_visit visit, void *context);

/* Joint information of a pair, the site's planes being loaded (pipeline/information.c): its
 * matrices stay; bytes of these. Both ways of its sweeps. Local. */
void plan_add_information_cost(const plan_job *plan, const esp_stats_shape *stats,
                               const plan_pair *pair, esp_cost *cost);
double plan_information_bytes(const plan_job *plan, const plan_pair *pair);
void plan_add_ways(const plan_job *plan, const plan_pair *pair, esp_sweep_ways *ways);
/* Covariance of a site on its owner, which stays (pipeline/evidence.c); whether it is counted from
 * planes. Local. */
void plan_add_covariance_cost(const plan_job *plan, const esp_stats_shape *stats, int64_t features,
                              int owner, esp_cost *cost);
bool plan_counts_covariance(const plan_job *plan);

/* A selection has two phases. */
typedef struct plan_selection {
  esp_cost counts, select;
} plan_selection;
/* Rank all sites from statistics, or again from a half of them (pipeline/ranking.c); then the width
 * (pipeline/width.c). Local. */
void plan_add_units_cost(const plan_job *plan, const esp_stats_shape *stats, plan_selection *self);
void plan_add_width_cost(const plan_job *plan, const esp_stats_shape *stats, plan_selection *self);
/* Bytes that the BLAS keeps once sites have been ranked. Local. */
double plan_packed_bytes(const plan_job *plan);
/* Choose whole layers (pipeline/layers.c); find masks, which stay (pipeline/unstructured.c). Local.
 */
void plan_add_layers_cost(const plan_job *plan, const esp_stats_shape *stats, esp_cost *cost);
void plan_add_masks_cost(const plan_job *plan, const esp_stats_shape *stats, esp_cost *cost);

/* The phases of the job, with what is held throughout; returns how many. Local. */
enum { PLAN_PHASES = 8 };
typedef struct plan_phase {
  const char *name;
  esp_cost cost;
  bool is_apart; // a job of its own
} plan_phase;
int plan_list_phases(const plan_job *plan, plan_phase phases[PLAN_PHASES]);
/* Open model and samples before any. Local. */
void plan_add_opening_cost(const plan_job *plan, esp_cost *cost);

/* Add members "memory" to "files" to a report. Local. */
void plan_report_costs(const plan_job *plan, json_t *report);

/* Time products, joint counts, copies and (on more than one rank) reductions for about a second.
 * Collective. */
void plan_calibrate(const esp_comm *comm, plan_machine *machine);
/* Anonymous memory of the process now, the largest of all ranks: what the libraries hold once they
 * have been used. Collective. */
double plan_measure_base(const esp_comm *comm);

/* Bytes a rank may use: --memory, or what the node has by its ranks; from names the source, a
 * caller's text of 64. Local. */
double plan_memory_limit(const plan_job *plan, char *from, size_t size);

#endif
