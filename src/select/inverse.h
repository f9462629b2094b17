/* The inverse of a positive definite matrix in place, block by block of columns. */
#ifndef ESPALIER_SRC_SELECT_INVERSE_H
#define ESPALIER_SRC_SELECT_INVERSE_H

#include "block_columns.h"

/* A = A^-1; Q must not hold anything yet. Pivots of the Cholesky factor below `least` of what the
 * diagonal was count as rounding. The bits are the same at any size of the team and any number of
 * threads. Gives false, on all ranks, where A is singular; it is used up then. Collective on the
 * matrix's team. */
bool esp_invert_blocks(const block_columns *matrix, double least);

/* Broadcasts that the two sweeps make, and bytes of a rank. Local. */
double esp_invert_sent_bytes(int64_t features);

#endif
