/* What exact sums and distributed solves need. */
#ifndef ESPALIER_LINALG_COST_H
#define ESPALIER_LINALG_COST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/cost.h"

#include <stdbool.h>

ESP_C_BEGIN

/* An exact sum of outer products, and what goes into it from all ranks. */
typedef struct esp_exact_shape {
  int ranks;
  double rows, cols;
  double samples, batches; // rows that are multiplied, in so many micro-batches
  bool is_gram;            // half of it is formed
} esp_exact_shape;

/* An element of an exact sum that is read takes as long as so many elementwise values (measured).
 */
enum { ESP_EXACT_READ = 3 };

/* Bytes of the sum itself. Local. */
double esp_exact_bytes(double rows, double cols);
/* Form it and add it over the ranks; what it holds itself is the caller's. Local. */
void esp_exact_add_cost(const esp_exact_shape *shape, esp_cost *cost);

/* Solve for n_rhs right-hand sides of n unknowns; the solution is the caller's. Local. */
void esp_solve_add_cost(int ranks, double n, double n_rhs, esp_cost *cost);

ESP_C_END

#endif
