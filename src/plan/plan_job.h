/* What the files of the plan share. */
#ifndef ESPALIER_SRC_PLAN_PLAN_JOB_H
#define ESPALIER_SRC_PLAN_PLAN_JOB_H

#include "espalier/plan/plan.h"
#include "espalier/prune/cost.h"
#include "espalier/train/cost.h"

/* Samples, and statistics of them. */
typedef struct plan_samples {
  esp_shard_shape shard;
  esp_stats_shape stats[3]; // by esp_half
} plan_samples;

/* The job as it would run. */
typedef struct plan_job {
  const esp_comm *comm;
  const esp_plan_options *options;
  esp_prune_request *request;
  esp_prune_sketch *sketch;
  int ranks, ranks_per_node;
  bool collects;
  plan_samples samples;
  int64_t doublings;     // of the samples, before this last collection
  plan_samples *earlier; // (doublings): those of each collection before; NULL
  plan_samples *fit;     // those that the repair reads; NULL: the same
  esp_train_cost recovery;
} plan_job;

/* Read how many samples there are and how they are dealt: fills collects to fit, and what the
 * sketch has of statistics. USAGE: what the job itself would refuse of them. Collective. */
esp_status plan_read_samples(plan_job *plan);
void plan_clear_samples(plan_job *plan);
/* The samples that the repair reads; whether any are open while units are selected and consumers
 * repaired. Local. */
const plan_samples *plan_samples_of_repair(const plan_job *plan);
bool plan_holds_samples(const plan_job *plan);

/* The phases of the job, with what is held throughout; returns how many. Local. */
typedef struct plan_phase {
  const char *name;
  esp_cost cost;
  double needed; // operations by hand count; below 0: not counted
  bool is_apart; // a job of its own
} plan_phase;
int plan_list_phases(const plan_job *plan, plan_phase phases[ESP_PLAN_PHASES]);
/* Operations that the results of a phase need, by hand count: single and double precision alike, of
 * all ranks together; of joint counts words. S rows, a site of F features with P outputs, K of them
 * kept, N parameters in matrices of stages, V outputs of the model, D hidden dimensions, R rows of
 * the Fisher information, n outputs of a stage. Attention's scores and elementwise work are left
 * out, as in what is executed.
 * - collect: 2 S N, F (F + 1) S a site, 2 S D V for the logits; of the Fisher information 4 R D V,
 *   2 R N above the lowest site, n (n + 1) R a site
 * - joint counts: pairs of a site's features and those kept above, times (B - 1)^2 S / 64
 * - select, stability: 3 F^2 (F + P) a site by set-mi; P^2 (P / 3 + F) more with a metric
 * - repair: 2 K P F + K^3 / 3 + 2 K^2 P a consumer that is cut; sequential also 2 S N of both
 *   models and, a consumer, K (K + 1) S + 2 S K P + 7 (K^3 / 3 + 4 K^2 P)
 * Below 0: another criterion, repair or structure, which nobody has counted. Local. */
double plan_need_collect(const plan_job *plan, const plan_samples *samples);
double plan_need_counts(const plan_job *plan, const plan_samples *samples);
double plan_need_select(const plan_job *plan, esp_half half);
double plan_need_repair(const plan_job *plan);

/* Open model and samples before any. Local. */
void plan_add_opening_cost(const plan_job *plan, esp_cost *cost);

/* Fill all of a report but the machine and memory.base, which must be there. Local. */
void plan_fill_report(const plan_job *plan, esp_plan_report *report);
/* Of that: times, memory and traffic of phases (n), behind the opening. Local. */
typedef struct plan_phases {
  const plan_phase *rows;
  int n;
  esp_cost opening;
} plan_phases;
void plan_fill_phases(const plan_job *plan, const plan_phases *phases, esp_plan_report *report);
/* A report of a training alone. Local. */
void plan_fill_training(const plan_job *plan, const esp_train_cost *training,
                        esp_plan_report *report);
/* Steps and evaluations of a training by turns, over what is held. Local. */
void plan_add_training(const esp_train_cost *training, esp_cost *cost);

/* Time products, joint counts, copies and (on more than one rank) reductions for about a second.
 * Collective. */
void plan_calibrate(const esp_comm *comm, esp_plan_machine *machine);
/* Anonymous memory of the process now, the largest of all ranks: what the libraries hold once they
 * have been used. Collective. */
double plan_measure_base(const esp_comm *comm);

/* Bytes a rank may use: --memory, or what the node has by its ranks; and the source. Local. */
void plan_find_limit(const plan_job *plan, esp_plan_memory *memory);

#endif
