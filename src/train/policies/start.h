/* Pruning at initialisation: before the first step, in rounds. */
#ifndef ESPALIER_SRC_TRAIN_POLICIES_START_H
#define ESPALIER_SRC_TRAIN_POLICIES_START_H

#include "policy.h"

/* What gives scores; those of what is masked are not read. Collective. */
typedef struct start_scores {
  esp_status (*of_weights)(training *self, float *scores); // (n_own)
  esp_status (*of_units)(training *self, double *scores);  // (units.n)
} start_scores;

extern const start_scores start_snip, start_grasp, start_synflow, start_three_sp;

/* Prune to the final sparsity in options->rounds rounds, K (at least one): behind round k a part
 * keep^(k/K) stays, and what has gone does not come back. Scores are taken anew before each. Says
 * which matrices or sites are left with the least that they keep. What the scores say. Collective.
 */
esp_status start_prune(training *self, const start_scores *how);
/* Rounds that it makes. Local. */
int64_t start_count_rounds(const training *self);
/* Passes of those that measure one gradient a round. Local. */
int64_t start_count_passes(const training *self);
/* What those read whose scores come from gradients. */
extern const char *const start_gradient_options[];

/* Set scores (n_own) to |w|. Local. */
void start_copy_magnitudes(const training *self, float *scores);
/* Set scores (n_own) to |a b|. Local. */
void start_multiply(const training *self, const float *a, const float *b, float *scores);
/* Set scores (units.n) to the modulus of the sum of a w over the weights w that read each unit: for
 * the gradient a of the loss, that of its gate. Collective. */
void start_sum_gates(const training *self, const float *a, double *scores);

#endif
