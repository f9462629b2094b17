/* What the files of the main job share. */
#ifndef ESPALIER_SRC_PIPELINE_PIPELINE_H
#define ESPALIER_SRC_PIPELINE_PIPELINE_H

#include "espalier/comm/phases.h"
#include "espalier/pipeline/settings.h"
#include "espalier/select/allocation.h"
#include "espalier/select/criterion.h"
#include "espalier/stats/stats.h"
#include "espalier/surgery/repair.h"

enum { NOISE_UNITS = 16 };

/* Joint information of a site's features with the preserved units above it. */
typedef struct site_information {
  float *values;                   // (F + noise, P) on every rank
  float *redundancy, *conditional; // (F, F) where the criterion needs them, on every rank
  int64_t *targets, n_targets;     // of conditional: columns of values
  int64_t features, n_upper;
  double null_level[NOISE_UNITS]; // mean information of a noise unit with the units above
} site_information;

/* Whole layers to go: instead of a selection. */
typedef struct prune_layers {
  bool is_chosen;
  double sparsity; // of layers
  int64_t n_kept, *kept;
  double *scores; // (layers)
} prune_layers;

/* A pruning under way. */
typedef struct prune_job {
  const esp_comm *comm;
  const esp_settings *settings;
  const esp_criterion *criterion;
  const esp_allocation *allocation;
  const esp_repair *repair;
  esp_model *dense, *pruned;
  esp_dataset *data; // NULL when nothing needs samples
  esp_shard shard;
  bool has_shard;
  esp_stats *stats;
  esp_journal *journal; // what is finished
  esp_selection selection;
  prune_layers layers;
  double *sparsity;  // (n_stages + 1): of units, the width's last; below 0: the site is not pruned
  bool *is_fixed;    // (n_stages): the sparsity was given to the site or its kind itself
  int64_t *n_keep;   // (n_stages): what the allocation leaves
  json_t *allocated; // its report
  double **scores;   // (n_stages + 1): (U)
  int64_t **order;   // (n_stages): (U) from most to least important; NULL: not ranked yet
  double *whole;     // (n_stages): nats that all units cost together; below 0: not priced
  int *n_ranked;     // (n_stages): how often each was ranked
  site_information information; // of one stage, while it is ranked and reported
  int information_stage;        // that stage; -1: none
  json_t *sites;                // report, one object a site, from the bottom
  json_t *repairs;              // report of the repair, by site
  json_t *stability;            // report: means over the sites, or why there are none
  json_t *doublings;            // report of a criterion without data: rows and change of the scores
  int round;                    // of its samples, under way; names what is kept of it
  json_t *matrices;             // report of unstructured masks
  int64_t masked;               // weights that they set to zero
  uint64_t checksum;
  esp_phases phases;
} prune_job;

/* What is known of a site: owns the arrays that an esp_evidence borrows. The large ones are on one
 * rank only, the owner. */
typedef struct site_evidence {
  double *covariance;                    // (F, F), owner
  float *fisher;                         // (state_out, state_out), owner, until applied to the map
  float *map;                            // (outputs, F), owner
  double *moments;                       // (4, F): mean, variance, norm, activation
  double *producer_norm, *consumer_norm; // (U), owner
} site_evidence;

/* Gather what the criterion needs to rank a stage: what is read by all ranks together, then the
 * rest, on the owner alone. Between the two others may read for theirs. Collective; local. */
esp_status evidence_read(prune_job *job, int stage, int owner, site_evidence *self);
esp_status evidence_complete_local(prune_job *job, int stage, site_evidence *self,
                                   esp_evidence *evidence);
/* Whether that hangs on what was kept above the stage. Local. */
bool evidence_depends_on_selection(const prune_job *job, int stage);
/* The same of the residual stream as a stage, or the head, reads it, given the selection of all
 * stages; rank 0 is the owner; producer_norm is left to the caller. Collective. */
esp_status evidence_gather_reader(prune_job *job, int stage, site_evidence *self,
                                  site_information *information, esp_evidence *evidence);
/* Parts of the two: moments, covariance, and the loan of what was gathered. Collective, local,
 * local. */
esp_status evidence_gather_covariance(prune_job *job, const esp_site_stats *site, int owner,
                                      site_evidence *self);
void evidence_copy_moments(const esp_site_stats *site, site_evidence *self);
/* What all units of a stage cost together, of its evidence once it is complete; below 0: that is
 * not asked for, or has no unit. Local. */
double evidence_price_whole_local(const prune_job *job, int stage, const esp_evidence *evidence);
void evidence_lend(const site_evidence *self, int64_t features, esp_evidence *evidence);
void evidence_clear(site_evidence *self);

/* Whether the units preserved above a stage are its own output after its consumer, as the next
 * reader of the residual stream gets it, and not those of the next site. Local. */
bool uses_own_output(const prune_job *job);
/* Information of the planes of what a stage, or the head, reads of the stream with its own site.
 * Collective. */
esp_status information_gather_reader(prune_job *job, int stage, const esp_planes *planes,
                                     site_information *self);
/* Its redundancy and conditional information as far as the criterion needs them, once values are
 * there; planes without noise, and those of the units preserved above. Collective. */
void information_add_pairs(prune_job *job, const esp_planes *planes, const esp_planes *upper,
                           site_information *self);
void information_lend(const site_information *self, esp_evidence *evidence);
void information_clear(site_information *self);
/* Information of a stage's planes with the units above into job->information, unless it is there.
 * Collective. */
esp_status information_gather_stage(prune_job *job, int stage);
void information_drop_stage(prune_job *job);

/* Whether a site's outputs are to be compared by the softmax layer's Fisher information, and
 * whether they are: where it was collected. Local. */
bool wants_fisher(const prune_job *job);
bool uses_fisher(const prune_job *job);
/* USAGE, MISMATCH: --metric fisher, but the criterion does not use it, or it was not collected.
 * Local. */
esp_status check_metric(const prune_job *job);
/* Change a stage's map, gathered, to that metric. NUMERIC. Local. */
esp_status evidence_apply_metric_local(prune_job *job, int stage, site_evidence *self);
bool needs_activation_covariance(const prune_job *job);

/* Euclidean norms of each unit's producers and consumers, (U) each. Loads what it reads. Local. */
esp_status compute_unit_norms(esp_model *model, int stage, double *producers, double *consumers);

/* Norms of what writes each hidden dimension: columns of the embedding, rows of the consumers; (D).
 * Local. */
esp_status compute_writer_norms(esp_model *model, double *norms);

/* Whether the width is pruned. Local. */
bool has_width(const prune_job *job);
/* Select the hidden dimensions, after all other sites: fills selection, scores, sites. Collective.
 */
esp_status select_width(prune_job *job);

/* Whether whole layers go. Local. */
bool drops_layers(const prune_job *job);
/* Choose them by --sites block, or by a criterion that ranks nothing else; then check what goes
 * with it. USAGE. Local. */
esp_status layers_choose(prune_job *job, double sparsity);
esp_status layers_choose_default(prune_job *job);
esp_status layers_check(const prune_job *job);
/* Select the layers: fills layers, sites and checksum. Collective. */
esp_status layers_select(prune_job *job);
/* Keep as many layers as the budget leaves, the first of order (layers). Local. */
void layers_keep(prune_job *job, const int64_t *order);
/* Write /kept/block and /scores/block. Collective. */
esp_status layers_write(prune_job *job, esp_h5 *file);
void layers_clear(prune_job *job);
/* The journal of a pruning, OUTPUT.journal (io/journal.h): its statistics, each site or layer
 * selected, each matrix masked, each round of samples, each stage repaired. Open it for this model
 * and these options, names of files apart; MISMATCH. Collective. */
esp_status journal_open(prune_job *job);
/* Open the statistics that an interrupted run collected itself, if they are of this collection, and
 * complete; else job->stats stays NULL, and it is noted that path is collected to. MISMATCH.
 * Collective. */
esp_status journal_open_statistics(prune_job *job, const json_t *collection, const char *path);
/* Check that the open statistics are those of the interrupted run, or note which they are.
 * MISMATCH. Collective. */
esp_status journal_check_statistics(const prune_job *job);
/* Take over the selection of a stage (n_stages: the width), its scores and report; *found tells
 * whether it was there. Keep them. IO, INTERRUPTED (after keeping). Collective. */
esp_status journal_load_site(prune_job *job, int stage, bool *found);
esp_status journal_save_site(prune_job *job, int stage);
/* The same of the rankings (order, scores) of all stages that have none yet; and of one, which
 * counts as its next. */
esp_status journal_load_rankings(prune_job *job);
esp_status journal_save_ranking(prune_job *job, int stage);
/* What a record's name ends with while a round of samples is under way. Local. */
typedef struct journal_round {
  char text[32];
} journal_round;
journal_round journal_name_round(const prune_job *job);
/* A unit of work whose record is so many plain bytes: read them into every rank's data, *found; and
 * keep them (rank 0's). FORMAT: of another size; IO; INTERRUPTED (after keeping). Collective. */
esp_status journal_load_unit(prune_job *job, const char *name, int64_t bytes, void *data,
                             bool *found);
esp_status journal_save_unit(prune_job *job, const char *name, int64_t bytes, const void *data);
/* Have what was kept outlive the node. IO. Collective. */
esp_status journal_sync(prune_job *job);
/* Check that the open data, which no statistics were made from, are those of the interrupted run,
 * or note which they are. MISMATCH. Collective. */
esp_status journal_check_repair_data(prune_job *job);

#define ALLOCATION_AUTO "auto"
/* The named one, for auto until more is known uniform. USAGE. Local. */
esp_status find_allocation(prune_job *job);
/* Whether counts are to be tried, so far as the settings, and as the statistics say. Local. */
bool may_try_counts(const prune_job *job);
bool wants_samples_to_try(const prune_job *job);
/* USAGE: what the settings name cannot be tried. Local. */
esp_status check_allocation(const prune_job *job);
/* What auto means: balanced where the criterion is set-mi and counts can be tried on the samples
 * that are open, else uniform. USAGE: what was named needs others. Local, equal on all ranks. */
esp_status choose_allocation(prune_job *job);
/* Cut the sites to their n_kept, refit, and take the loss: an esp_allocation_trial. Collective. */
typedef struct trial_context {
  prune_job *job;
  const esp_allocation_site *sites; // (n_stages)
  json_t *report;                   // an object a trial
} trial_context;
esp_status try_counts(void *context, const esp_allocation_job *allocation, double *loss);
/* Say how many units every stage keeps: fills n_keep and allocated. USAGE. Local, equal on all
 * ranks. */
esp_status allocate_units(prune_job *job);
/* Whether the allocation may leave nothing of a sub-layer. Local. */
bool can_empty_stages(const prune_job *job);

/* Read --sites and --sparsity into job->sparsity and is_fixed. USAGE: a kind that the model lacks,
 * a sparsity out of range. Local. */
esp_status choose_sites(prune_job *job);

/* Rank a stage, and as many of those below as there are ranks to do so if none hangs on what is
 * kept above it: fills order and scores. The same at any rank count. Collective. */
esp_status rank_sites(prune_job *job, int stage);

/* Write the first n units of a stage's order to kept (n), ascending: of its groups equally many.
 * Local. */
void keep_of_stage(const esp_stage *stage, const int64_t *order, int64_t n, int64_t *kept);

/* Rank the hidden dimensions: order (D), score (D). Collective. */
esp_status rank_dimensions(prune_job *job, int64_t *order, double *score);

/* Once all is selected, rank every site that was cut again from each half of the statistics, and
 * add to its report and to stability how much of the two kept sets is the same. Collective. */
esp_status measure_stability(prune_job *job);

/* Keep the first n_keep units of a stage's order, or all of them. Local. */
void keep_units(prune_job *job, int stage);
void keep_all(prune_job *job, int stage);

/* Select from the top: fills selection, scores, sites, stability and checksum. Collective. */
esp_status run_chain(prune_job *job);

/* Clear what there is of a selection, and select anew. Collective. */
esp_status select_from_top(prune_job *job);

/* Collect to OUT.stats.h5 with these settings, and open it. Collective. */
esp_status collect_first(prune_job *job, const esp_settings *settings);
/* Whether the statistics must have the residual stream as its readers get it. Local. */
bool reads_stream(const prune_job *job);
/* Whether the statistics have what the job needs. FORMAT, MISMATCH, USAGE. Collective. */
esp_status check_stats(const prune_job *job);
/* For a criterion without data: collect from input of maximum entropy, and select, twice the
 * samples at a time until the scores move by less than 5 %. Collective. */
esp_status collect_until_stable(prune_job *job);
/* Whether that is how the statistics come to be. Local. */
bool doubles_samples(const prune_job *job);
/* USAGE: data is given for a criterion without data, and nothing would read it. Local. */
esp_status check_data_free(const prune_job *job);
/* MISMATCH: the criterion uses no data, but the statistics do. Local. */
esp_status check_made(const prune_job *job);
/* Whether real data is given for the repair alone, the statistics being without. Local. */
bool has_data_for_repair(const prune_job *job);

/* Unstructured masks: USAGE unless criterion, repair and sites allow them. Local. */
esp_status check_structure(const prune_job *job);
bool is_unstructured(const prune_job *job);
bool needs_stats(const prune_job *job);
/* A matrix that masks may be of. */
typedef struct masked_matrix {
  int weight;
  double sparsity; // below 0: of no chosen site
  bool input_major;
  esp_site_name input; // the site that it reads; empty: not measured
} masked_matrix;
masked_matrix mask_describe(const prune_job *job, int weight);
/* Whether the criterion reads its inputs' norms. Local. */
bool mask_reads_norms(const prune_job *job, const masked_matrix *self);
/* Keep all units, as masks want it; then mask the pruned model's weights. NUMERIC, FORMAT.
 * Collective. */
esp_status select_whole(prune_job *job);
esp_status mask_weights(prune_job *job);
/* What the report should be read with: an array of texts, a new reference; and a line of the log
 * for each. Local. */
json_t *make_warnings(const prune_job *job);
void log_warnings(const json_t *report);

/* Write PRUNED.h5, and make its report (without times). Collective. */
json_t *make_report(const prune_job *job);
esp_status write_pruned(prune_job *job, const json_t *report);

#endif
