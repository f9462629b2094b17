#include "comm_internal.h"
#include "espalier/comm/handle.h"

#include "espalier/core/memory.h"

static struct esp_comm_state *new_state(void) {
  struct esp_comm_state *state = ESP_NEW(struct esp_comm_state, 1);
  state->counted = &state->traffic;
  return state;
}

static void find_place(esp_comm *self) {
  MPI_Comm_rank(self->state->mpi, &self->rank);
  MPI_Comm_size(self->state->mpi, &self->size);
}

void esp_comm_init(esp_comm *self, MPI_Comm parent) {
  self->state = new_state();
  MPI_Comm_dup(parent, &self->state->mpi);
  find_place(self);
}

void esp_comm_init_team(esp_comm *self, const esp_comm *parent, int team) {
  self->state = new_state();
  self->state->counted = parent->state->counted;
  MPI_Comm_split(comm_count_local(parent, ESP_CONTROL, sizeof team), team, parent->rank,
                 &self->state->mpi);
  find_place(self);
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
  return comm->state->counted;
}

MPI_Comm comm_count_local(const esp_comm *comm, esp_collective kind, int64_t bytes) {
  const MPI_Comm handle = esp_comm_get_handle_local(comm);
  if (comm->size > 1) {
    comm->state->counted->calls[kind]++;
    comm->state->counted->bytes[kind] += bytes;
  }
  return handle;
}
