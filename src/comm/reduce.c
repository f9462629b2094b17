/* Reductions over ranks in place, of any size. */
#include "comm_internal.h"

static void allreduce(const esp_comm *comm, void *values, int64_t count, MPI_Datatype type,
                      MPI_Op op) {
  int size;
  MPI_Type_size(type, &size);
  const MPI_Comm handle = comm_count_local(comm, ESP_ALLREDUCE, count * size);
  for (int64_t done = 0; done < count; done += COMM_CHUNK) {
    const int64_t left = count - done;
    MPI_Allreduce(MPI_IN_PLACE, (char *)values + done * size,
                  (int)(left < COMM_CHUNK ? left : COMM_CHUNK), type, op, handle);
  }
}

void esp_allreduce_sum_i32(const esp_comm *comm, int32_t *values, int64_t count) {
  allreduce(comm, values, count, MPI_INT32_T, MPI_SUM);
}

void esp_allreduce_sum_i64(const esp_comm *comm, int64_t *values, int64_t count) {
  allreduce(comm, values, count, MPI_INT64_T, MPI_SUM);
}

void esp_allreduce_max_f64(const esp_comm *comm, double *values, int64_t count) {
  allreduce(comm, values, count, MPI_DOUBLE, MPI_MAX);
}

/* Bits are or-ed, not floats added: -0 + 0 is 0, which one rank alone would not give. */
void esp_allreduce_gather_f32(const esp_comm *comm, float *values, int64_t count) {
  allreduce(comm, values, count, MPI_UINT32_T, MPI_BOR);
}

void esp_allreduce_gather_f64(const esp_comm *comm, double *values, int64_t count) {
  allreduce(comm, values, count, MPI_UINT64_T, MPI_BOR);
}

void esp_reduce_gather_f64(const esp_comm *comm, double *values, int64_t count, int root) {
  const MPI_Comm handle = comm_count_local(comm, ESP_ALLREDUCE, count * (int64_t)sizeof *values);
  for (int64_t done = 0; done < count; done += COMM_CHUNK) {
    const int64_t left = count - done;
    double *part = values + done;
    MPI_Reduce(comm->rank == root ? MPI_IN_PLACE : part, part,
               (int)(left < COMM_CHUNK ? left : COMM_CHUNK), MPI_UINT64_T, MPI_BOR, root, handle);
  }
}
