#include "espalier/linalg/cost.h"

#include "espalier/comm/cost.h"

#include <stdint.h>

double esp_exact_bytes(double rows, double cols) {
  return sizeof(int64_t) * rows * cols;
}

/* A micro-batch's sum is read and written; told with the sums is what bounds them (exact.c). */
void esp_exact_add_cost(const esp_exact_shape *shape, esp_cost *cost) {
  const double cells = shape->rows * shape->cols, bytes = esp_exact_bytes(shape->rows, shape->cols);
  const double added = shape->is_gram ? shape->rows * (shape->rows + 1.0) / 2.0 : cells;
  esp_cost_touch(cost, esp_reduction_bytes(shape->ranks, added, sizeof(int64_t)));
  esp_cost_send(cost, shape->ranks, ESP_ALLREDUCE, (added + 3.0) * sizeof(int64_t));
  cost->work.flops += (shape->is_gram ? 1.0 : 2.0) * shape->samples * cells;
  cost->work.bytes += 2.0 * bytes * shape->batches / shape->ranks;
  cost->work.reduced += added * sizeof(int64_t);
}
