/* What elimination carries beside A = (G + D)^-1: Q = B B^T, B = A G M^T = (I - A D) M^T. */
#ifndef ESPALIER_SRC_SELECT_TWIN_H
#define ESPALIER_SRC_SELECT_TWIN_H

#include "block_columns.h"
#include "gaussian.h"

/* Q += B B^T in the upper triangle, from A in the lower one, by panels of outputs, of which each
 * thread of each rank has one at a time; they are added one by one, so that the bits are the same
 * at any number of either. model  of the team's first rank; of the others its ridge alone is read
 * Collective on the matrices' team; equal on all ranks: outputs, ridge. */
void esp_add_twin(const esp_gaussian *model, int64_t outputs, const block_columns *matrices);

/* Memory and traffic of one of so many ranks. Local. */
void esp_add_twin_cost(int64_t features, int64_t outputs, int ranks, esp_cost *cost);

#endif
