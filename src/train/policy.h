/* Policies: what is pruned, frozen or grown while a model trains. One file in policies/, one row in
 * policies/policies.c.
 *
 * A step is: forward and backward pass; after_gradient; the mean gradient of what is masked is set
 * to zero; clipping; update, unless the policy has set skips_update; after_step. Functions may be
 * NULL. All are collective, and equal on all ranks but for what is this rank's part. */
#ifndef ESPALIER_SRC_TRAIN_POLICY_H
#define ESPALIER_SRC_TRAIN_POLICY_H

#include "train_internal.h"

#include "espalier/core/cost.h"

/* What may be pruned by it. */
enum { POLICY_WEIGHTS = 1, POLICY_UNITS = 2 };

/* The values of weights that are masked. */
typedef enum policy_values {
  POLICY_ZERO,   // are zero, and so they are if they live again
  POLICY_KEPT,   // are kept aside: the optimiser goes on with them, without gradient
  POLICY_FROZEN, // are those before the first step, in the model too: what is masked does not train
} policy_values;

typedef struct policy {
  const char *name;
  unsigned granularities;
  policy_values masked;
  bool keeps_units;   // by units, values of gates that are 0 are POLICY_KEPT
  bool holds_weights; // prunable matrices do not follow their gradients: scores do
  bool holds_all;     // no weight trains: what is for the optimiser is not read
  bool learns_scores; // by Adam (scores.h), of --momentum and --beta2
  bool prunes_once;   // before the first step, and never later
  bool weighs_units;  // ranked together, they count by the elements of their matrices
  bool sets_sparsity; // by itself: --final-sparsity is not read
  int n_arrays, n_unit_arrays;
  bool arrays_of_weights;        // arrays are there by weights alone
  const char *distribution;      // by default; NULL: it reads none
  const char *unit_distribution; // of units; NULL: the same
  esp_policy_options defaults;   // in place of negative numbers
  double unit_penalty;           // where units are pruned; 0: as by weights
  const char *remedy;            // of a policy that finds the sparsity: what to raise for more
  const char *const *options;    // names of those that it reads beside policy, granularity and
                                 // final-sparsity, ended by NULL
  bool (*is_unread)(const esp_policy_options *options,
                    const char *name); // what it does not read as the others are; NULL: nothing
  esp_status (*check_local)(const training *self); // USAGE
  int64_t (*count_passes)(const training *self);   // before the first step
  /* What so many changes of the masks take beside rankings; NULL: nothing. */
  void (*add_cost)(const training *self, int ranks, double changes, esp_cost *cost);
  esp_status (*begin)(training *self);          // weights are those before the first step
  esp_status (*after_gradient)(training *self); // gradients.mean, of effective weights
  esp_status (*after_step)(training *self);     // weights as updated, and masked
  esp_status (*after_measure)(training *self, double held_out);
  void (*set_weights)(training *self, bool as_result); // from latent ones and masks, those of the
                                                       // next step, or those that would be
                                                       // written; NULL: they are the same
  bool (*is_final)(const training *self); // the weights may be the result; NULL: always
  bool (*is_result)(const training *self, double held_out); // they are from now on; NULL: if they
                                                            // are the best on held-out data
} policy;

/* Whether a new model's matrices are stored as their seed. Local. */
bool policy_stores_seed(const policy *of);
/* USAGE: none has the name, or not this granularity; NULL for a NULL name. Local. */
esp_status policy_find(const char *name, const policy **found);
/* Options of train that were given, by the origins of a table, and that the policy does not read: a
 * warning each. Local. */
void policy_warn_unread(const esp_policy_options *options, const esp_option_table *given);
/* Whether the policy reads an option (name without dashes) as the others are. Local. */
bool policy_reads(const policy *of, const esp_policy_options *options, const char *name);

/* USAGE: pruning would end before it begins. Local. */
esp_status policy_check_schedule_local(const training *self);
/* Part of the steps that is done, in [0, 1], from prune_from to prune_to. Local. */
double policy_get_progress(const training *self);
/* Steps between changes of the masks. Local. */
int64_t policy_get_every(const training *self);
/* Whether the masks change behind the step just made: every prune_every steps, and at the last of
 * them. Local. */
bool policy_is_due(const training *self);
/* The cubic schedule of Zhu and Gupta 2017: final (1 - (1 - progress)^3). Local. */
double policy_get_cubic_sparsity(const training *self);

/* Set gradients.mean to the mean over options->score_samples samples, from the first of the first
 * epoch, of the weights as they are; other numbers of the training stay. NUMERIC. */
esp_status policy_measure_gradient(training *self);
/* Passes that it makes. Local. */
int64_t policy_count_gradient_passes(const training *self);

#endif
