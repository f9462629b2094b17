#include "sweep_internal.h"

#include "espalier/core/memory.h"

#include <string.h>

esp_reduce esp_sweep_find_reduce(const char *name) {
  static const char *const names[] = {
      [ESP_REDUCE_AUTO] = "auto",
      [ESP_REDUCE_ALLREDUCE] = "allreduce",
      [ESP_REDUCE_EXCHANGE] = "exchange",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return (esp_reduce)i;
  esp_panic(__FILE__, __LINE__, "no way to reduce is called %s", name);
}

static esp_sweep_shape shape_of_local(const esp_comm *comm, const esp_sweep *sweep,
                                      const int64_t *words) {
  return (esp_sweep_shape){.x_units = sweep->x->units,
                           .y_units = sweep->y->units,
                           .x_bins = sweep->x->bins,
                           .y_bins = sweep->y->bins,
                           .is_symmetric = sweep->is_symmetric,
                           .visitor = sweep->visitor,
                           .tile = sweep->tile,
                           .panel_bytes = sweep->panel_bytes,
                           .reduce = sweep->reduce,
                           .ranks = comm->size,
                           .words = words};
}

void esp_sweep_pairs(const esp_comm *comm, const esp_sweep *sweep) {
  int64_t *words = ESP_NEW(int64_t, comm->size);
  esp_allgather_i64(comm, ESP_GATHER, sweep->x->n_words, words);
  const esp_sweep_shape shape = shape_of_local(comm, sweep, words);
  if (esp_sweep_choose(&shape) == ESP_REDUCE_EXCHANGE)
    sweep_exchange(comm, sweep, words);
  else
    sweep_allreduce(comm, sweep);
  esp_free(&words);
}

void esp_sweep_marginals(const esp_comm *comm, const esp_planes *planes, int64_t *marginals) {
  esp_count_marginals(planes, marginals);
  esp_allreduce_sum_i64(comm, marginals, planes->units * (planes->bins - 1));
}
