/* Products of thin matrices taken from a triangle, by its blocks of columns, which ranks and
 * threads share. The blocks are the same at any number of them, and every sum runs over all of k
 * within one call, so the bits do not depend on either. Column-major, n x k factors with stride ld,
 * complete on every rank; each changes the blocks that it holds. Local. */
#ifndef ESPALIER_SELECT_DOWNDATE_H
#define ESPALIER_SELECT_DOWNDATE_H

#include "block_columns.h"

typedef struct thin {
  int64_t n, k, ld;
  double factor;       // of the product that is added
  const double *y, *v; // (ld, k)
} thin;

/* A += factor Y Y^T; Q likewise. */
void esp_add_square_lower(const thin *self, const block_columns *to);
void esp_add_square_upper(const thin *self, const block_columns *to);
/* A as above and Q += factor (Y V^T + V Y^T), at once. */
void esp_add_twins(const thin *self, const block_columns *to);

#endif
