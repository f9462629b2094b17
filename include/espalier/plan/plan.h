/* What a pruning, or a training, will need before it is submitted: memory, traffic, work, files,
 * time. */
#ifndef ESPALIER_PLAN_PLAN_H
#define ESPALIER_PLAN_PLAN_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"
#include "espalier/plan/options.h"
#include "espalier/prune/budget.h"
#include "espalier/prune/settings.h"
#include "espalier/train/cost.h"

ESP_C_BEGIN

/* Sizes of the job. */
typedef struct esp_plan_sizes {
  int ranks, ranks_per_node;
  int64_t samples, rows, n_batches; // rows that are not padding; micro-batches
  int64_t share;                    // micro-batches of the rank that has the most
  int64_t doublings;                // of the samples of a criterion without data; 0: none
  int64_t dense, pruned;            // parameters
} esp_plan_sizes;

typedef struct esp_plan_site {
  char name[64], kind[32];
  int64_t units, kept;
  int64_t multiple, groups; // the largest power of two that divides what is kept; groups of heads
  bool is_provisional;      // trials or scores decide how many stay, at the asked parameters
} esp_plan_site;

enum { ESP_PLAN_PHASES = 10 };
typedef struct esp_plan_phase {
  const char *name; // static
  bool is_apart;    // a job of its own, in no sum
  double bytes;     // of a rank at most, programs and libraries included
  esp_work work;
  double executed, needed; // operations of all ranks, waiting included; by hand count (docs/
                           // performance.md), 0 or less: not counted
  double time_s;
} esp_plan_phase;

/* Of rank 0, which has the most, in bytes. */
typedef struct esp_plan_memory {
  double base, data, peak; // programs and libraries; the data set; all that stands together
  const char *peak_phase;  // static
  double limit;            // below 0: not known
  char *limit_from;        // owned
} esp_plan_memory;

/* Both ways of adding joint counts over ranks. */
typedef struct esp_plan_reduce {
  double sweeps, by_exchange; // how many there are, and go by exchange
  double allreduce_bytes, exchange_bytes, allreduce_s, exchange_s;
} esp_plan_reduce;

/* Speeds of one rank of this machine, measured. */
typedef struct esp_plan_machine {
  double flops_per_s, words_per_s, copy_bytes_per_s;
  double values_per_s;       // of an elementwise pass with an exponential
  double solver_flops_per_s; // double precision, in a distributed solve
  double solver_bytes;       // that a rank's libraries hold once there has been one
  double solve_s;            // a solve of next to nothing
  double reduce_bytes_per_s; // of an allreduced buffer; 0: measured on one rank, copies instead
} esp_plan_machine;

typedef struct esp_plan_report {
  esp_plan_sizes sizes;
  int n_sites, n_phases;
  esp_plan_site *sites; // (n_sites), owned
  esp_plan_phase phases[ESP_PLAN_PHASES];
  esp_plan_memory memory;
  double traffic[ESP_N_PLANNED]; // bytes that a rank hands to each, as comm/traffic.h counts
  esp_plan_reduce reduce;
  double statistics_bytes, pruned_bytes; // of files; statistics below 0: none are written
  double checkpoint_bytes;               // of a training's, removed at the end; 0: none
  esp_train_sizes training;              // steps 0: nothing is trained
  double time_s;                         // of all phases
  esp_prune_budget *budget;              // owned; NULL: none
  esp_plan_machine machine;
} esp_plan_report;

/* Plan a prune of the model at path on options->ranks ranks: from settings->data (collected first)
 * or settings->stats. *report is the caller's to clear; empty on failure. USAGE: what the job
 * itself would refuse; what opening model, data and statistics can say. Collective on comm; equal
 * on all ranks: settings, options, path. */
esp_status esp_plan(const esp_comm *comm, const esp_prune_settings *settings,
                    const esp_plan_options *options, const char *path, esp_plan_report *report);
/* The same of the commands train and recover: path is what they take (NULL: a new perceptron).
 * Collective on comm; equal on all ranks: settings, purpose, options, path. */
esp_status esp_plan_train(const esp_comm *comm, const esp_train_settings *settings,
                          esp_train_purpose purpose, const esp_plan_options *options,
                          const char *path, esp_plan_report *report);
void esp_plan_report_clear(esp_plan_report *self);

/* USAGE, with the arithmetic: the peak is above the limit. Local. */
esp_status esp_plan_check(const esp_plan_report *report);
/* As --json has it; docs/report.md names the fields. A new reference. Local. */
json_t *esp_plan_report_dump(const esp_plan_report *report);

ESP_C_END

#endif
