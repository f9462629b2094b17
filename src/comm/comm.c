#include "comm_internal.h"
#include "espalier/comm/handle.h"

#include "espalier/core/memory.h"

void esp_comm_init(esp_comm *self, MPI_Comm parent) {
  self->state = ESP_NEW(struct esp_comm_state, 1);
  MPI_Comm_dup(parent, &self->state->mpi);
  MPI_Comm_rank(self->state->mpi, &self->rank);
  MPI_Comm_size(self->state->mpi, &self->size);
}

void esp_comm_init_local(esp_comm *self) {
  esp_comm_init(self, MPI_COMM_SELF);
}

esp_comm esp_comm_pretend(int rank, int size) {
  return (esp_comm){.rank = rank, .size = size};
}

void esp_comm_clear(esp_comm *self) {
  if (self->state) MPI_Comm_free(&self->state->mpi);
  esp_free(&self->state);
}

MPI_Comm esp_comm_get_handle_local(const esp_comm *comm) {
  ESP_ASSERT(comm->state); // else it is pretended
  return comm->state->mpi;
}

const esp_traffic *esp_comm_get_traffic_local(const esp_comm *comm) {
  ESP_ASSERT(comm->state);
  return &comm->state->traffic;
}

MPI_Comm comm_count_local(const esp_comm *comm, esp_collective kind, int64_t bytes) {
  const MPI_Comm handle = esp_comm_get_handle_local(comm);
  if (comm->size > 1) {
    comm->state->traffic.calls[kind]++;
    comm->state->traffic.bytes[kind] += bytes;
  }
  return handle;
}
