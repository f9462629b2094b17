/* How a sparsity is shared out over matrices. */
#ifndef ESPALIER_SRC_TRAIN_DENSITY_H
#define ESPALIER_SRC_TRAIN_DENSITY_H

#include <stdint.h>

typedef struct density_matrix {
  int64_t n, fan_in, fan_out; // n = fan_in * fan_out
  int64_t least;              // that stay at any rate
} density_matrix;

/* Set keep (count): every matrix keeps the same part. */
void density_share_uniform(const density_matrix *matrices, int count, double sparsity,
                           int64_t *keep);
/* Set keep (count) so that together they have the number that uniform shares have, each in
 * proportion to fan_in + fan_out; one that would keep more than it has is dense, and the others
 * share the rest: ERK [Evci et al. 2020, Mocanu et al. 2018]. */
void density_share_erk(const density_matrix *matrices, int count, double sparsity, int64_t *keep);

#endif
