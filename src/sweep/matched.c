#include "espalier/sweep/sweep.h"

#include "espalier/core/memory.h"
#include "espalier/information/information.h"

/* One unit with its match: a tile of one pair. */
static void count_pairs(const esp_planes *x, const esp_planes *y, int64_t cells, int32_t *counts) {
  for (int64_t u = 0; u < x->units; u++)
    esp_count_joint(&(esp_tile){x, y, u, 1, u, 1}, counts + u * cells);
}

void esp_sweep_matched(const esp_comm *comm, const esp_planes *x, const esp_planes *y,
                       int64_t samples, double *information) {
  const int64_t bx = x->bins - 1, by = y->bins - 1, n = x->units;
  int32_t *counts = ESP_NEW(int32_t, n * bx * by);
  int64_t *x_marginals = ESP_NEW(int64_t, n * bx), *y_marginals = ESP_NEW(int64_t, n * by);
  esp_entropy_table table;
  count_pairs(x, y, bx * by, counts);
  esp_allreduce_sum_i32(comm, counts, n * bx * by);
  esp_sweep_marginals(comm, x, x_marginals);
  esp_sweep_marginals(comm, y, y_marginals);
  esp_entropy_table_init(&table, samples);
  for (int64_t u = 0; u < n; u++) {
    const esp_pair_counts pair = {.joint = counts + u * bx * by,
                                  .x = x_marginals + u * bx,
                                  .y = y_marginals + u * by,
                                  .x_bins = x->bins,
                                  .y_bins = y->bins};
    information[u] = esp_compute_information(&table, &pair, NULL);
  }
  esp_entropy_table_clear(&table);
  esp_free(&y_marginals);
  esp_free(&x_marginals);
  esp_free(&counts);
}
