#include "comm_internal.h"

#include "espalier/core/memory.h"

void esp_allgather_i64(const esp_comm *comm, esp_collective kind, int64_t value, int64_t *values) {
  MPI_Allgather(&value, 1, MPI_INT64_T, values, 1, MPI_INT64_T,
                comm_count_local(comm, kind, sizeof value));
}

static MPI_Datatype make_row_type(int64_t width) {
  MPI_Datatype row;
  MPI_Type_contiguous(esp_int(width), MPI_FLOAT, &row);
  MPI_Type_commit(&row);
  return row;
}

void esp_gather_rows_f32(const esp_comm *comm, const float *rows, int64_t width,
                         const int64_t *counts, int root, float *all) {
  const int64_t mine = counts[comm->rank];
  int *numbers = ESP_NEW(int, comm->size), *offsets = ESP_NEW(int, comm->size);
  for (int r = 0; r < comm->size; r++) {
    numbers[r] = esp_int(counts[r]);
    offsets[r] = r > 0 ? esp_int((int64_t)offsets[r - 1] + numbers[r - 1]) : 0;
  }
  MPI_Datatype row = make_row_type(width);
  MPI_Gatherv(rows, esp_int(mine), row, all, numbers, offsets, row, root,
              comm_count_local(comm, ESP_GATHER, mine * width * (int64_t)sizeof *rows));
  MPI_Type_free(&row);
  esp_free(&numbers);
  esp_free(&offsets);
}
