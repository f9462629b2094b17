/* What a policy holds of a training under way: which weights or units live, and its own arrays. */
#ifndef ESPALIER_SRC_TRAIN_PRUNING_H
#define ESPALIER_SRC_TRAIN_PRUNING_H

#include "units.h"

#include "espalier/train/policy_options.h"
#include "espalier/train/report.h"

enum { MOST_POLICY_ARRAYS = 3, MOST_UNIT_ARRAYS = 3 };

struct policy;

/* Caller's struct. `mask` says of each value of this rank whether it lives; values outside of the
 * matrices that can be pruned always do. */
typedef struct train_pruning {
  const struct policy *of;           // NULL: nothing is pruned, and nothing below is there
  const esp_policy_options *options; // resolved, borrowed
  const train_parts *parts;          // borrowed
  bool by_units;
  int n_matrices, *matrix_of; // (n_weights) number of the matrix; -1: it cannot be pruned
  int64_t *sizes, n_prunable; // (n_matrices) values; of all
  train_units units;          // by units alone
  uint8_t *mask;              // (n_own)
  float *latent;              // (n_own) values of weights that are masked now; NULL: they are zero
  float *arrays[MOST_POLICY_ARRAYS];     // (n_own) the policy's
  uint8_t *alive;                        // (units.n), by units
  double *unit_arrays[MOST_UNIT_ARRAYS]; // (units.n) the policy's, equal on all ranks
  int64_t live;                          // weights, or units, of all ranks that live
  bool has_said_floors;                  // which layers are left with the least
  bool skips_update;                     // of this step: its masks were changed instead
} train_pruning;

/* What follows from the request alone: what can be pruned. Where options name no policy, nothing.
 * USAGE. Local, equal on all ranks. */
esp_status pruning_lay_out_local(train_pruning *self, const train_parts *parts,
                                 const esp_policy_options *options);
/* Before parts are laid out: whole groups of heads become the units. Local. */
void pruning_prepare_model(esp_model *model, const esp_policy_options *options);
/* Arrays; all lives but what is masked already. Collective on comm. */
void pruning_init(const esp_comm *comm, train_pruning *self);
void pruning_clear(train_pruning *self);
/* Whether values of what is masked are kept aside. Local. */
bool pruning_has_latent(const train_pruning *self);
/* Behind pruning_init: the zeros of a file that is masked are the policy's from here on, in the
 * matrices whose weights it prunes, so that what grows among them trains. Local. */
void pruning_take_masks(const train_pruning *self, train_parts *parts);

/* Arrays of values that the policy has. Local. */
int pruning_count_arrays(const train_pruning *self);

/* Set to zero what is masked of the mean gradient. Local. */
void pruning_hold_gradient(const train_pruning *self, float *mean);
/* Around an update: give the weights their values of masked ones too; take them back, and mask.
 * Local. */
void pruning_before_update(train_pruning *self);
void pruning_after_update(train_pruning *self);
/* Make the mask from the units that live, where units are pruned, set the weights by it, and count.
 * A weight that lives again has its latent value, or zero. Collective on comm. */
void pruning_apply(const esp_comm *comm, train_pruning *self);

/* Let those of the highest scores live (n_own), so that a part `sparsity` of the weights does not,
 * shared out as options->distribution says, and apply. among (n_own): those that may; NULL: all.
 * Collective on comm. */
void pruning_keep_weights(const esp_comm *comm, train_pruning *self, const float *scores,
                          const uint8_t *among, double sparsity);
/* The same of units: scores (units.n); among (units.n) or NULL. Collective on comm. */
void pruning_keep_units(const esp_comm *comm, train_pruning *self, const double *scores,
                        const uint8_t *among, double sparsity);

/* Of those that live, let the largest weights live on, or the units of the largest squares.
 * Collective on comm. */
void pruning_keep_by_magnitude(const esp_comm *comm, train_pruning *self, double sparsity);
/* Let those of scores above a threshold live, and at least the best of each matrix, as many as
 * always stay, and apply; among likewise. Collective on comm. */
void pruning_keep_weights_above(const esp_comm *comm, train_pruning *self, const float *scores,
                                const uint8_t *among, double threshold);
/* The same of units and sites. Collective on comm. */
void pruning_keep_units_above(const esp_comm *comm, train_pruning *self, const double *scores,
                              double threshold);

/* Set squares (units.n) to the sum of squares of the values that make each unit and that read it.
 * Collective on comm. */
void pruning_compute_unit_squares(const esp_comm *comm, const train_pruning *self, double *squares);

/* The least of n weights of a matrix, or units of a site, that stay. Local. */
int64_t pruning_find_least(const train_pruning *self, int64_t n);

/* Whether matrices, or sites, are ranked together. Local. */
bool pruning_is_global(const train_pruning *self);
/* What a unit of a site counts for: 1, or the elements of its matrices over those of the largest.
 * Local. */
double pruning_weigh_unit(const train_pruning *self, const units_site *site);

/* The part of the weights, or units, that does not live. Local. */
double pruning_get_sparsity(const train_pruning *self);

/* Warn that a layer is left with the least that it keeps. Local. */
void pruning_warn_floor(const train_pruning *self, const char *name, int64_t live, int64_t n);
/* Say what is left of the weights as they are. Collective on comm. */
void pruning_report(const esp_comm *comm, const train_pruning *self, bool is_final,
                    esp_train_report *report);

#endif
