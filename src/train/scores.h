/* Scores that a policy learns, of weights or of units: Adam [Kingma and Ba 2015] with a rate of
 * their own, which follows the schedule of the training, and no weight decay. They are the first of
 * the policy's arrays, and Adam's moments the next two. */
#ifndef ESPALIER_SRC_TRAIN_SCORES_H
#define ESPALIER_SRC_TRAIN_SCORES_H

#include "policy.h"

enum { SCORES_ARRAYS = 3 };

/* Set all scores to a value. Local. */
void scores_init(training *self, double value);
/* Set among (n_own) to which weights may live: those that a masked model has at zero stay there.
 * Local. */
void scores_list_weights(const training *self, uint8_t *among);

/* Set gradient (n_own) to that of the mask of each weight that can be pruned, dL/dW' W, W as it is
 * behind its mask, and of others to 0. Behind a pass, before its gradient is changed. Local. */
void scores_compute_mask_gradient(const training *self, float *gradient);
/* Set gradient (units.n) to that of each unit's gate. Likewise. Collective. */
void scores_compute_gate_gradient(const training *self, double *gradient);

/* Descend: gradient (n_own), or (units.n). Local. */
void scores_step_weights(training *self, const float *gradient);
void scores_step_units(training *self, const double *gradient);

/* Weight of a matrix's, or site's, scores in a mean over matrices, or sites, of their means. Local.
 */
double scores_weigh_matrix(const training *self, int weight);
double scores_weigh_site(const training *self, const units_site *site);

/* Adam's steps, and draws of each score in each step. Local. */
void scores_add_cost(const training *self, double draws, esp_cost *cost);

/* Whether masks follow scores behind the step just made: every prune_every steps from prune_from to
 * the last, and where the schedule ends. Local. */
bool scores_are_due(const training *self);

#endif
