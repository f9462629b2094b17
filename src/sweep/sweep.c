#include "sweep_internal.h"

#include "espalier/comm/traffic.h"
#include "espalier/core/memory.h"

#include <string.h>

static esp_reduce default_reduce = ESP_REDUCE_AUTO;

esp_reduce esp_sweep_find_reduce(const char *name) {
  return strcmp(name, "allreduce") == 0  ? ESP_REDUCE_ALLREDUCE
         : strcmp(name, "exchange") == 0 ? ESP_REDUCE_EXCHANGE
                                         : ESP_REDUCE_AUTO;
}

void esp_sweep_set_reduce(const char *name) {
  default_reduce = esp_sweep_find_reduce(name);
}

static esp_sweep_shape shape_of(const esp_comm *comm, const esp_sweep *sweep,
                                const int64_t *words) {
  return (esp_sweep_shape){.x_units = sweep->x->units,
                           .y_units = sweep->y->units,
                           .x_bins = sweep->x->bins,
                           .y_bins = sweep->y->bins,
                           .is_symmetric = sweep->is_symmetric,
                           .visitor = sweep->visitor,
                           .tile = sweep->tile,
                           .panel_bytes = sweep->panel_bytes,
                           .reduce =
                               sweep->reduce == ESP_REDUCE_DEFAULT ? default_reduce : sweep->reduce,
                           .ranks = comm->size,
                           .words = words};
}

void esp_sweep_pairs(const esp_comm *comm, const esp_sweep *sweep) {
  int64_t *words = ESP_NEW(int64_t, comm->size);
  esp_traffic_add(comm, ESP_GATHER, sizeof *words);
  MPI_Allgather(&sweep->x->n_words, 1, MPI_INT64_T, words, 1, MPI_INT64_T, comm->mpi);
  const esp_sweep_shape shape = shape_of(comm, sweep, words);
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
