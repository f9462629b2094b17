/* A pruning as it was asked for, resolved and checked. It does not change while it is carried out,
 * and it is all that a plan needs. */
#ifndef ESPALIER_PRUNE_REQUEST_H
#define ESPALIER_PRUNE_REQUEST_H

#include "espalier/core/c_linkage.h"
#include "espalier/prune/budget.h"
#include "espalier/prune/settings.h"
#include "espalier/select/allocation.h"
#include "espalier/select/criterion.h"

ESP_C_BEGIN

/* What can go: units, hidden dimensions, whole layers, single weights (src/prune/structure.h). */
typedef struct esp_prune_structure esp_prune_structure;
enum { ESP_MOST_STRUCTURES = 4 };

#define ESP_SITE_BLOCK "block"
#define ESP_ALLOCATION_AUTO "auto"
enum { ESP_MOST_DOUBLINGS = 6 }; // of the samples of a criterion without data

/* What a pruning reads of statistics: all that it collects where they are not kept. */
typedef struct esp_prune_extent {
  bool statistics; // any at all, given or collected: else there is no calibration pass
  bool *sites;     // (n_stages) moments, or codes, of the units
  bool *full;      // (n_stages) second moments and Fisher information too, as far as any are read
  bool codes, logits; // codes at all; those of the logits
} esp_prune_extent;

typedef struct esp_prune_request {
  const esp_prune_settings *settings; // borrowed
  esp_model *dense;                   // owned; its weights are loaded and unloaded
  const esp_criterion *criterion;
  const esp_allocation *allocation; // the one named; for auto uniform, until more is known
  const esp_repair *repair;
  esp_reduce reduce;        // how joint counts are added over ranks
  double *sparsity;         // (n_stages + 1) of units, the width's last; below 0: not pruned
  esp_prune_extent extent;  // owned
  bool *is_fixed;           // (n_stages + 1) the sparsity was given to the site or its kind itself
  bool leaves_heads;        // by default, so that transformers opens what comes out
  double layer_sparsity;    // of whole layers; below 0: none goes
  bool is_layer_fixed;      // it was given to them itself
  double asked;             // --sparsity, or what a budget has come to
  esp_prune_budget *budget; // owned; NULL: none
  bool ignores_multiple;    // --multiple-of, to see what it costs
  const esp_prune_structure *structures[ESP_MOST_STRUCTURES + 1]; // asked for, ended by NULL
} esp_prune_request;

/* Open the model at path and resolve what is asked. USAGE: an unknown name, a kind of site that the
 * model lacks, a sparsity out of range, a combination that a structure does not take; what
 * esp_model_open says. Collective on comm; equal on all ranks: settings, path. */
esp_status esp_prune_request_open(const esp_comm *comm, const esp_prune_settings *settings,
                                  const char *path, esp_prune_request **request);
/* The same for a plan, which needs no weights: a configuration alone will do
 * (esp_model_open_described). Collective on comm; equal on all ranks: settings, path. */
esp_status esp_prune_request_open_described(const esp_comm *comm,
                                            const esp_prune_settings *settings, const char *path,
                                            esp_prune_request **request);
/* The same of a model that is open already (taken over, also on failure). Local. */
esp_status esp_prune_request_new(const esp_prune_settings *settings, esp_model *dense,
                                 esp_prune_request **request);
/* Turn budgets into sparsities, which are placeholders until then; nothing without budgets. A
 * budget of time is measured here. USAGE: a budget cannot be met, with what can. Collective on
 * comm; equal on all ranks: request. */
esp_status esp_prune_request_settle(const esp_comm *comm, esp_prune_request *request);
/* Note in the budgets, of which there are some, what a pruned model has of them. Local. */
void esp_prune_request_take(esp_prune_request *request, const esp_model *pruned);
/* Free, the model too; NULL inside is fine. Local. */
void esp_prune_request_free(esp_prune_request **request);

/* What the pruning reads beside the model: statistics, or keeps them; samples by its repair; for
 * these real data that the statistics, being without, are not made from. Local. */
bool esp_prune_reads_statistics(const esp_prune_request *request);
bool esp_prune_repairs_from_samples(const esp_prune_request *request);
bool esp_prune_reads_other_data(const esp_prune_request *request);
/* Whether a criterion, or a repair, reads statistics whatever goes: all but the weights of a site.
 * Local. */
bool esp_prune_needs_statistics(const esp_criterion *criterion, const esp_repair *repair);
/* Whether the criterion, or the report of what it keeps, reads codes: a criterion of information
 * does, and one whose covariance comes from codes. Local. */
bool esp_prune_reads_codes(const esp_prune_options *options, const esp_criterion *criterion);
/* Whether statistics are collected in rounds, twice the samples at a time: a criterion without data
 * that was given no statistics. Local. */
bool esp_prune_has_rounds(const esp_prune_request *request);

/* A site of the model by number: its stages, then (n_stages) the width. Local. */
typedef struct esp_prune_site {
  const char *name, *kind;
  int64_t units, width; // features a unit
} esp_prune_site;
esp_prune_site esp_prune_site_of(const esp_model *dense, int site);

ESP_C_END

#endif
