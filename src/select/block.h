/* Whitening of one unit's (w, w) block. */
#ifndef ESPALIER_SELECT_BLOCK_H
#define ESPALIER_SELECT_BLOCK_H

#include <stdint.h>

/* Write T (w, w; column-major, lower) with T A T^T = I, the inverse of A's Cholesky factor. Pivots
 * at or below floor (w) are skipped: their rows and columns of T are zero, which projects on the
 * rest. block holds A, full and symmetric. Returns the number skipped. Local. */
int64_t esp_block_whiten(int64_t width, const double *block, const double *floor, double *t);

/* block -= factor (X Y^T + Y X^T) for X, Y (w, w) of column stride `stride`, beginning at the
 * unit's first feature. Stays exactly symmetric. Local. */
void esp_block_subtract(int64_t width, double factor, const double *x, const double *y,
                        int64_t stride, double *block);

#endif
