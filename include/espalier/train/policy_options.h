/* Options of the policies that prune or freeze while a model trains. */
#ifndef ESPALIER_TRAIN_POLICY_OPTIONS_H
#define ESPALIER_TRAIN_POLICY_OPTIONS_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"

ESP_C_BEGIN

/* Negative numbers, and NULL, stand for what the policy itself chooses
 * (docs/method/training_systems.md). */
typedef struct esp_policy_options {
  char *policy;          // name; NULL: nothing is pruned
  char *granularity;     // "weights" or "units"
  char *kinds;           // names or kinds of sites that are pruned; NULL: all
  double final_sparsity; // part of the prunable weights, or units, that goes
  char *distribution;    // over matrices or sites: "global", "uniform", "erk"
  int64_t min_keep;      // weights of every matrix, units of every site that stay at any rate: the
                         // option of prune
  double prune_from;     // part of all steps at which pruning begins
  double prune_to;       // and at which the final sparsity is reached
  int64_t prune_every;   // steps between changes of the masks
  char *threshold;       // movement: "hard" or "soft"
  double penalty;        // weight of a regulariser
  int64_t penalty_decay; // steps in which it falls to 0 behind a pruning; 0: it does not
  double alpha;          // scale of gradients of Bonetta's regulariser
  double score_rate;     // learning rate of scores
  char *gates_from;      // gates: "constant", "norms", "gradients" or a path
  char *frozen_values;   // of edge-popup: "given" or "signed"
  double drop_fraction;  // of the live weights that are dropped and grown at a change
  char *drop_rule;       // by units: "magnitude" or "set-mi"
  int64_t rounds;        // in which pruning at initialisation reaches the sparsity
  int64_t score_samples; // that gradients for scores are taken from
  double prune_fraction; // of what is left that goes at a time
  double bound;          // largest held-out loss that is accepted, over that before the first step
  char *rewind;          // path of the weights that tickets go back to
  char *control;         // of tickets: "none", "random" or "reinitialised"
} esp_policy_options;
extern const esp_option_group esp_policy_option_group;

/* Set every option to its default; free the texts. Local. */
void esp_policy_options_init(esp_policy_options *self);
void esp_policy_options_clear(esp_policy_options *self);
/* Put what the policy chooses in place of negative numbers. USAGE: it is not known. Local. */
esp_status esp_policy_options_resolve(esp_policy_options *self);

ESP_C_END

#endif
