#include "espalier/linalg/cost.h"

#include "espalier/comm/cost.h"

#include <stdint.h>

/* An element that the solver asks for takes as long as so many elementwise values (measured). */
enum { GIVE = 2 };

double esp_exact_bytes(double rows, double cols) {
  return sizeof(int64_t) * rows * cols;
}

/* A micro-batch's sum is read and written; told with the sums is what bounds them (exact.c). */
void esp_exact_add_cost(const esp_exact_shape *shape, esp_cost *cost) {
  const double cells = shape->rows * shape->cols, bytes = esp_exact_bytes(shape->rows, shape->cols);
  esp_cost_touch(cost, esp_reduction_bytes(shape->ranks, cells, sizeof(int64_t)));
  esp_cost_send(cost, shape->ranks, ESP_ALLREDUCE, bytes + 3 * sizeof(int64_t));
  cost->work.flops += (shape->is_gram ? 1.0 : 2.0) * shape->samples * cells;
  cost->work.bytes += 2.0 * bytes * shape->batches / shape->ranks;
  cost->work.reduced += bytes;
}

/* Cholesky's n^3 / 3 and two triangles; this rank's parts of the matrix and of the right-hand sides
 * in place of which the solution comes, which is then gathered. */
void esp_solve_add_cost(int ranks, double n, double n_rhs, esp_cost *cost) {
  const double given = n * (n + n_rhs), solution = n * n_rhs;
  esp_cost_touch(cost, sizeof(double) * given / ranks +
                           esp_reduction_bytes(ranks, solution, sizeof(double)));
  esp_cost_send(cost, ranks, ESP_ALLREDUCE, sizeof(double) * solution);
  cost->work.solver += n * n * (n / 3.0 + 2.0 * n_rhs);
  cost->work.solves += 1.0;
  cost->work.every += GIVE * given;
  cost->work.reduced += sizeof(double) * solution;
}
