/* Products of thin matrices taken from a triangle, by blocks of columns that threads share. The
 * blocks are the same at any thread count, and every sum runs over all of k within one call, so the
 * bits are those of one call for the whole. Column-major, n x k factors, all with stride ld. Local.
 */
#ifndef ESPALIER_SELECT_DOWNDATE_H
#define ESPALIER_SELECT_DOWNDATE_H

#include <stdint.h>

typedef struct thin {
  int64_t n, k, ld;
  double factor;       // of the product that is added
  const double *y, *v; // (ld, k)
} thin;

/* lower += factor Y Y^T, of stride `stride`; upper likewise. */
void esp_add_square_lower(const thin *self, double *lower, int64_t stride);
void esp_add_square_upper(const thin *self, double *upper, int64_t stride);
/* lower as above and upper += factor (Y V^T + V Y^T), at once. */
void esp_add_twins(const thin *self, double *lower, double *upper, int64_t stride);

#endif
