/* What the files of the plan share. All sizes are doubles: they are sums of products of sizes. */
#ifndef ESPALIER_SRC_PIPELINE_PLAN_H
#define ESPALIER_SRC_PIPELINE_PLAN_H

#include "pipeline.h"

#include "espalier/sweep/sweep.h"

/* Speeds of this machine, one rank, and what a rank holds before any data. */
typedef struct plan_machine {
  double flops_per_s, words_per_s, copy_bytes_per_s;
  double values_per_s;       // of an elementwise pass with an exponential
  double solver_flops_per_s; // double precision, in a distributed solve
  double solve_s;            // a solve of next to nothing
  double reduce_bytes_per_s; // of an allreduced buffer; 0: measured on one rank, copies instead
  double base_bytes;
} plan_machine;

/* The job as it would run. */
typedef struct plan_job {
  prune_job job; // dense and cut model, sites, criterion, repair; its comm pretends to be rank 0 of
                 // all ranks, and takes part in nothing collective
  esp_stats stats; // a stand-in: its meta alone
  const esp_comm *comm;
  int ranks, ranks_per_node, bins;
  bool collects, has_covariance, has_width;
  int parts; // of the moments: 2 where halves are kept for the stability
  int64_t samples, rows, n_batches, batch_rows, words; // rows: S; words: a micro-batch's, a plane
  int64_t tokens;                                      // of a sample; 1: images
  int64_t share;       // micro-batches of rank 0, which has the most
  int64_t *rank_words; // (ranks) a plane
  int64_t *half_words; // (2, ranks): of the even, of the odd micro-batches
  int64_t pilot_rows, logits, fisher_rows;
  double read_bytes;        // the data set, on every rank
  double data_bytes;        // with its order and a micro-batch
  bool *depends;            // (n_stages): whether a ranking hangs on what is kept above
  bool is_early;            // what is collected is doubled, and collected again
  bool is_priced;           // all stages are ranked once before any is cut
  bool tries;               // counts, by trial cuts
  int64_t doublings;        // of the samples, before this last collection
  struct plan_job *earlier; // (doublings): the job with the samples of each collection before; NULL
  struct plan_job *fit;     // with those that the repair reads; NULL: the same
  plan_machine machine;
} plan_job;

/* Read how many samples there are and how they are dealt: fills bins to data_bytes, and doublings
 * to fit. USAGE: what the job itself would refuse of them. Collective. */
esp_status plan_read_samples(plan_job *plan);
void plan_clear_samples(plan_job *plan);
/* The job with the samples that its repair reads; and whether it reads any. Local. */
const plan_job *plan_of_repair(const plan_job *plan);
bool plan_repair_reads(const plan_job *plan);
/* Whether samples are open while units are selected and consumers repaired. Local. */
bool plan_holds_samples(const plan_job *plan);

/* Trials of the balanced allocation: a count of heads, and its two neighbours; more where one of
 * them is better. */
enum { PLAN_TRIALS = 3 };
/* The job with a trial's refit as its repair; borrows. What a trial holds, and the rows that it
 * measures. Local. */
plan_job plan_of_trial(const plan_job *plan);
double plan_trial_bytes(const plan_job *plan);
double plan_trial_rows(const plan_job *plan);

/* Features of the statistics' sites in order: (n) of stages, then the logits. Local. */
int64_t plan_features(const plan_job *plan, int stage);
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
/* Bytes of float32 that loading a stage of a model allocates. Local. */
double plan_loaded_bytes(const esp_model *model, int stage);
/* Sweeps of a site's joint counts, from words (ranks) a plane: with the units above; then, where
 * the criterion reads them, of its own units with each other, and the same of the samples in each
 * bin of each target. Local. */
typedef struct plan_sweep {
  esp_sweep_shape shape;
  double times;
} plan_sweep;
typedef struct plan_sweeps {
  plan_sweep rows[3];
  int n;
  int64_t *bin_words; // (ranks) that shapes of bins borrow
} plan_sweeps;
void plan_sweeps_init(const plan_job *plan, const plan_pair *pair, const int64_t *words,
                      plan_sweeps *self);
void plan_sweeps_clear(plan_sweeps *self);
/* Of a site's own units alone; and how many targets are conditioned on. Local. */
esp_sweep_shape plan_own_sweep(const plan_job *plan, int64_t features, const int64_t *words);
int64_t plan_targets(const plan_job *plan, const plan_pair *pair);
/* Call a function with every pair whose information is computed from all samples, in order: the
 * stages' before anything is cut, the stages', the readers'. Local. */
typedef void (*plan_visit)(const plan_job *plan, const plan_pair *pair, void *context);
void plan_for_each_pair(const plan_job *plan, plan_visit visit, void *context);
bool plan_uses_exchange(const plan_job *plan, const esp_sweep_shape *shape);
/* Whether the selection is made again from both halves. Local. */
bool plan_has_stability(const plan_job *plan);
bool plan_is_selected(const plan_job *plan, int stage);
/* Whether it loses any unit. Local. */
bool plan_is_cut(const plan_job *plan, int stage);

/* Choosing whole layers: bytes held beside the base; broadcast, and allreduced; word operations of
 * rank 0. Local. */
double plan_layers_bytes(const plan_job *plan);
double plan_layers_read_bytes(const plan_job *plan);
double plan_layers_reduced_bytes(const plan_job *plan);
double plan_layers_words(const plan_job *plan);
/* Masks: bytes held while they are found, and afterwards; broadcast; weights that get one. Local.
 */
double plan_masks_bytes(const plan_job *plan);
double plan_masks_held_bytes(const plan_job *plan);
double plan_masks_read_bytes(const plan_job *plan);
double plan_masks_weights(const plan_job *plan);

/* Bytes on rank 0: of the planes of some units; of the hidden states of its samples; that a stage's
 * forward pass needs beside state and x; that MPI holds beside a buffer that it reduces. Local. */
double plan_planes_bytes(const plan_job *plan, double units);
double plan_states_bytes(const plan_job *plan);
double plan_scratch_bytes(const plan_job *plan, const esp_model *model, int stage);
double plan_reduction_bytes(const plan_job *plan, double bytes);
/* Of a repair, or of masks; and of what it leaves until the model is written. Local. */
double plan_mend_bytes(const plan_job *plan);
double plan_fitted_bytes(const plan_job *plan);
/* Peak bytes of each phase on rank 0, data and base included: {NAME: bytes}. Local. */
json_t *plan_memory(const plan_job *plan);
/* {NAME: {"bytes"}}, mean over ranks, as comm/traffic.h counts. Local. */
json_t *plan_traffic(const plan_job *plan);
json_t *plan_files(const plan_job *plan);
/* Floating-point operations and word operations by phase, of all ranks; and seconds. Local. */
json_t *plan_work(const plan_job *plan);
json_t *plan_time(const plan_job *plan);
/* Which reduce is cheaper, and by how much. Local. */
json_t *plan_reduce(const plan_job *plan);

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
