#include "density.h"

#include <math.h>
#include <stdbool.h>

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

static int64_t keep_part(const density_matrix *of, double part) {
  return clamp(llround(part * (double)of->n), of->least, of->n);
}

void density_share_uniform(const density_matrix *matrices, int count, double sparsity,
                           int64_t *keep) {
  for (int m = 0; m < count; m++) keep[m] = keep_part(&matrices[m], 1.0 - sparsity);
}

/* The share of a matrix at epsilon 1. */
static double get_weight(const density_matrix *of) {
  return (double)(of->fan_in + of->fan_out);
}

/* Epsilon from those that are not dense; a matrix that keeps all is. */
static double find_epsilon(const density_matrix *matrices, int count, double total,
                           const int64_t *keep) {
  double rest = total, weights = 0.0;
  for (int m = 0; m < count; m++) {
    if (keep[m] == matrices[m].n)
      rest -= (double)matrices[m].n;
    else
      weights += get_weight(&matrices[m]);
  }
  return weights > 0.0 ? fmax(rest, 0.0) / weights : 0.0;
}

void density_share_erk(const density_matrix *matrices, int count, double sparsity, int64_t *keep) {
  double total = 0.0;
  bool again = true;
  for (int m = 0; m < count; m++) {
    total += (1.0 - sparsity) * (double)matrices[m].n;
    keep[m] = 0;
  }
  while (again) {
    const double epsilon = find_epsilon(matrices, count, total, keep);
    again = false;
    for (int m = 0; m < count; m++) {
      if (keep[m] == matrices[m].n) continue;
      const bool is_dense = epsilon * get_weight(&matrices[m]) >= (double)matrices[m].n;
      if (is_dense) keep[m] = matrices[m].n;
      again = again || is_dense;
    }
  }
  const double epsilon = find_epsilon(matrices, count, total, keep);
  for (int m = 0; m < count; m++)
    if (keep[m] < matrices[m].n)
      keep[m] =
          clamp(llround(epsilon * get_weight(&matrices[m])), matrices[m].least, matrices[m].n);
}
