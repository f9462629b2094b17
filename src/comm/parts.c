/* Arrays that are dealt in parts: summed and scattered, gathered. */
#include "comm_internal.h"

#include "espalier/core/memory.h"

/* Numbers and offsets of all parts, one behind the other; owned by the caller. */
static int *make_counts(const esp_comm *comm, const int64_t *begins) {
  int *counts = ESP_NEW(int, 2 * comm->size);
  for (int r = 0; r < comm->size; r++) {
    counts[r] = esp_int(begins[r + 1] - begins[r]);
    counts[comm->size + r] = esp_int(begins[r]);
  }
  return counts;
}

static void reduce_scatter(const esp_comm *comm, const void *values, const int64_t *begins,
                           MPI_Datatype type, void *part) {
  int size;
  MPI_Type_size(type, &size);
  int *counts = make_counts(comm, begins);
  MPI_Reduce_scatter(values, part, counts, type, MPI_SUM,
                     comm_count_local(comm, ESP_REDUCE_SCATTER, begins[comm->size] * size));
  esp_free(&counts);
}

void esp_reduce_scatter_i64(const esp_comm *comm, const int64_t *values, const int64_t *begins,
                            int64_t *part) {
  reduce_scatter(comm, values, begins, MPI_INT64_T, part);
}

void esp_reduce_scatter_f32(const esp_comm *comm, const float *values, const int64_t *begins,
                            float *part) {
  reduce_scatter(comm, values, begins, MPI_FLOAT, part);
}

void esp_allgather_f32(const esp_comm *comm, const int64_t *begins, float *values) {
  int *counts = make_counts(comm, begins);
  const int64_t mine = begins[comm->rank + 1] - begins[comm->rank];
  MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, counts, counts + comm->size, MPI_FLOAT,
                 comm_count_local(comm, ESP_ALLGATHER, mine * (int64_t)sizeof *values));
  esp_free(&counts);
}
