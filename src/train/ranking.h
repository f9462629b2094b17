/* Which of the values that train are the largest by some score, over all ranks. */
#ifndef ESPALIER_SRC_TRAIN_RANKING_H
#define ESPALIER_SRC_TRAIN_RANKING_H

#include "parts.h"

/* All is borrowed, and equal on all ranks but for what is this rank's part. */
typedef struct ranking {
  const train_parts *parts;
  const float *scores;  // (n_own); NaN counts as the least
  const uint8_t *among; // (n_own) 0: not ranked; NULL: all are
  const int *set_of;    // (n_weights) the set in which a weight's values are ranked; below 0: none
  int n_sets;
  const int64_t *keep; // (n_sets) so many, or all if there are fewer
} ranking;

/* Set marks (n_own) to 1 where a value is one of the largest of its set, to 0 where it is not, and
 * leave those that are not ranked. Of equal scores the one comes first that comes first among the
 * values of all ranks. The same at any rank count. Collective on comm. */
void ranking_mark_largest(const esp_comm *comm, const ranking *self, uint8_t *marks);

/* Set counts (n_sets) to how many values of all ranks there are to rank. Collective on comm. */
void ranking_count(const esp_comm *comm, const ranking *self, int64_t *counts);

#endif
