#include "espalier/comm/exchange.h"

#include "comm_internal.h"
#include "espalier/comm/handle.h"
#include "espalier/core/memory.h"

/* Arguments of MPI_Alltoallw, (size) each; send_at stays 0, since the types have the offsets. */
typedef struct transfer {
  int *send_counts, *receive_counts, *send_at, *receive_at;
  MPI_Datatype *send_types, *receive_types;
} transfer;

/* One row of some words in rows of `stride` words. */
static MPI_Datatype make_row_type(int64_t words, int64_t stride) {
  MPI_Datatype plain, row;
  MPI_Type_contiguous(esp_int(words), MPI_UINT64_T, &plain);
  MPI_Type_create_resized(plain, 0, (MPI_Aint)(stride * (int64_t)sizeof(uint64_t)), &row);
  MPI_Type_free(&plain);
  MPI_Type_commit(&row);
  return row;
}

static int64_t count_words(const esp_row_exchange *job, int rank) {
  return job->first_word[rank + 1] - job->first_word[rank];
}

/* This rank's words of the rows that another gets. */
static MPI_Datatype make_send_type(const esp_comm *comm, const esp_row_exchange *job, int to) {
  const esp_row_range *ranges = job->ranges + job->first_range[to];
  const int n = esp_int(job->first_range[to + 1] - job->first_range[to]);
  int *lengths = ESP_NEW(int, n), *begins = ESP_NEW(int, n);
  MPI_Datatype row = make_row_type(count_words(job, comm->rank), job->from_stride), type;
  for (int i = 0; i < n; i++) {
    begins[i] = esp_int(ranges[i].begin);
    lengths[i] = esp_int(ranges[i].count);
  }
  MPI_Type_indexed(n, lengths, begins, row, &type);
  MPI_Type_commit(&type);
  MPI_Type_free(&row);
  esp_free(&lengths);
  esp_free(&begins);
  return type;
}

static void transfer_init(transfer *self, const esp_comm *comm, const esp_row_exchange *job) {
  const int n = comm->size;
  *self = (transfer){ESP_NEW(int, n), ESP_NEW(int, n),          ESP_NEW(int, n),
                     ESP_NEW(int, n), ESP_NEW(MPI_Datatype, n), ESP_NEW(MPI_Datatype, n)};
  for (int r = 0; r < n; r++) {
    self->send_counts[r] = 1;
    self->send_types[r] = make_send_type(comm, job, r);
    self->receive_counts[r] = esp_int(job->to_rows);
    self->receive_at[r] = esp_int(job->first_word[r] * (int64_t)sizeof(uint64_t));
    self->receive_types[r] = make_row_type(count_words(job, r), job->to_stride);
  }
}

static void transfer_clear(transfer *self, int ranks) {
  for (int r = 0; r < ranks; r++) {
    MPI_Type_free(&self->send_types[r]);
    MPI_Type_free(&self->receive_types[r]);
  }
  esp_free(&self->send_counts);
  esp_free(&self->receive_counts);
  esp_free(&self->send_at);
  esp_free(&self->receive_at);
  esp_free(&self->send_types);
  esp_free(&self->receive_types);
}

void esp_exchange_rows(const esp_comm *comm, const esp_row_exchange *job) {
  const int64_t others = job->first_word[comm->size] - count_words(job, comm->rank);
  const int64_t bytes = job->to_rows * others * (int64_t)sizeof *job->to;
  transfer moves;
  transfer_init(&moves, comm, job);
  MPI_Alltoallw(job->from, moves.send_counts, moves.send_at, moves.send_types, job->to,
                moves.receive_counts, moves.receive_at, moves.receive_types,
                comm_count_local(comm, ESP_EXCHANGE, bytes));
  transfer_clear(&moves, comm->size);
}

void esp_transfer_i32(const esp_comm *comm, int32_t *values, int64_t count, int from, int to) {
  const int n = esp_int(count);
  if (from == to) return;
  if (comm->rank == from) // counted where it arrives
    MPI_Send(values, n, MPI_INT32_T, to, 0, esp_comm_get_handle_local(comm));
  if (comm->rank == to)
    MPI_Recv(values, n, MPI_INT32_T, from, 0,
             comm_count_local(comm, ESP_EXCHANGE, count * (int64_t)sizeof *values),
             MPI_STATUS_IGNORE);
}
