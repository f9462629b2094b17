#include "espalier/comm/comm.h"

#include "chunk.h"

#include "espalier/comm/traffic.h"
#include "espalier/core/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

void esp_comm_init(esp_comm *self, MPI_Comm parent) {
  MPI_Comm_dup(parent, &self->mpi);
  MPI_Comm_rank(self->mpi, &self->rank);
  MPI_Comm_size(self->mpi, &self->size);
}

void esp_comm_clear(esp_comm *self) {
  if (self->mpi != MPI_COMM_NULL) MPI_Comm_free(&self->mpi);
  self->mpi = MPI_COMM_NULL;
}

esp_status esp_agree(const esp_comm *comm, esp_status mine) {
  int failing = mine == ESP_OK ? INT_MAX : comm->rank;
  esp_traffic_add(comm, ESP_AGREEMENT, sizeof failing);
  MPI_Allreduce(MPI_IN_PLACE, &failing, 1, MPI_INT, MPI_MIN, comm->mpi);
  if (failing == INT_MAX) return ESP_OK;
  struct {
    int code;
    char text[1024];
  } message = {.code = (int)mine};
  snprintf(message.text, sizeof message.text, "%s", esp_failure_text());
  MPI_Bcast(&message, (int)sizeof message, MPI_BYTE, failing, comm->mpi);
  return esp_fail((esp_status)message.code, "%s", message.text);
}

void esp_bcast(const esp_comm *comm, void *data, int64_t bytes, int root) {
  esp_traffic_add(comm, ESP_BCAST, bytes);
  for (int64_t done = 0; done < bytes; done += CHUNK) {
    const int64_t left = bytes - done;
    MPI_Bcast((char *)data + done, (int)(left < CHUNK ? left : CHUNK), MPI_BYTE, root, comm->mpi);
  }
}

void esp_bcast_text(const esp_comm *comm, char **text, int root) {
  int64_t bytes = *text && comm->rank == root ? (int64_t)strlen(*text) + 1 : 0;
  esp_bcast(comm, &bytes, sizeof bytes, root);
  if (comm->rank != root) {
    esp_free(text);
    if (bytes > 0) *text = esp_alloc(bytes, 1);
  }
  esp_bcast(comm, *text, bytes, root);
}

static void allreduce(const esp_comm *comm, void *values, int64_t count, MPI_Datatype type,
                      MPI_Op op) {
  int size;
  MPI_Type_size(type, &size);
  esp_traffic_add(comm, ESP_ALLREDUCE, count * size);
  for (int64_t done = 0; done < count; done += CHUNK) {
    const int64_t left = count - done;
    MPI_Allreduce(MPI_IN_PLACE, (char *)values + done * size, (int)(left < CHUNK ? left : CHUNK),
                  type, op, comm->mpi);
  }
}

void esp_allreduce_sum_i64(const esp_comm *comm, int64_t *values, int64_t count) {
  allreduce(comm, values, count, MPI_INT64_T, MPI_SUM);
}

/* Bits are or-ed, not floats added: -0 + 0 is 0, which one rank alone would not give. */
void esp_allreduce_gather_f32(const esp_comm *comm, float *values, int64_t count) {
  allreduce(comm, values, count, MPI_UINT32_T, MPI_BOR);
}

void esp_allreduce_gather_f64(const esp_comm *comm, double *values, int64_t count) {
  allreduce(comm, values, count, MPI_UINT64_T, MPI_BOR);
}

double esp_allreduce_max(const esp_comm *comm, double value) {
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, comm->mpi);
  return value;
}

esp_spread esp_compute_spread(const esp_comm *comm, double value) {
  struct {
    double value;
    int rank;
  } mine = {value, comm->rank}, worst;
  double low = value, sum = value;
  MPI_Allreduce(&mine, &worst, 1, MPI_DOUBLE_INT, MPI_MAXLOC, comm->mpi);
  MPI_Allreduce(MPI_IN_PLACE, &low, 1, MPI_DOUBLE, MPI_MIN, comm->mpi);
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, comm->mpi);
  return (esp_spread){low, sum / comm->size, worst.value, worst.rank};
}
