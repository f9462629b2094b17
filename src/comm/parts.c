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

/* Values that are sent at a time: what was received is still in a cache when more is added to it.
 * Fewer a rank are left to MPI, whose ways of few messages are faster then. */
enum { SENT_AT_ONCE = 1 << 16, FEW = 4096 };

/* A sum under way: of every part's values from `at` on. */
typedef struct scattering {
  const esp_comm *comm;
  MPI_Comm handle;
  MPI_Datatype type;
  int size; // of a value, bytes
  const int64_t *begins;
  const char *values;
  char *part, *received; // received: of one rank
  int64_t at;
} scattering;

/* Where they begin, in a rank's part: its end, where it has none. */
static int64_t find_place(const scattering *self, int rank) {
  const int64_t n = self->begins[rank + 1] - self->begins[rank];
  return self->at < n ? self->at : n;
}

static int count_sent(const scattering *self, int rank) {
  const int64_t left = self->begins[rank + 1] - self->begins[rank] - find_place(self, rank);
  return esp_int(left < SENT_AT_ONCE ? left : SENT_AT_ONCE);
}

static const char *find_values(const scattering *self, int rank) {
  return self->values + (self->begins[rank] + find_place(self, rank)) * self->size;
}

static char *find_sum(const scattering *self) {
  return self->part + find_place(self, self->comm->rank) * self->size;
}

/* Give the rank `step` below its values, and add those of the rank `step` above. The first are not
 * added to anything. */
static void trade(const scattering *self, int step) {
  const int ranks = self->comm->size, rank = self->comm->rank;
  const int to = (rank - step + ranks) % ranks, from = (rank + step) % ranks;
  const int n = count_sent(self, rank);
  char *sum = find_sum(self), *place = step == 1 ? sum : self->received;
  MPI_Sendrecv(find_values(self, to), count_sent(self, to), self->type, to, 0, place, n, self->type,
               from, 0, self->handle, MPI_STATUS_IGNORE);
  if (step > 1) MPI_Reduce_local(place, sum, n, self->type, MPI_SUM);
}

static int64_t find_most(const esp_comm *comm, const int64_t *begins) {
  int64_t most = 0;
  for (int r = 0; r < comm->size; r++)
    if (begins[r + 1] - begins[r] > most) most = begins[r + 1] - begins[r];
  return most;
}

/* Every rank's values go straight to those that have their parts; this rank's own are added last.
 * MPI's ring would copy all of them before. */
static void scatter_many(scattering *self) {
  const int64_t most = find_most(self->comm, self->begins);
  const int rank = self->comm->rank;
  self->received = esp_alloc(SENT_AT_ONCE, (size_t)self->size);
  for (self->at = 0; self->at < most; self->at += SENT_AT_ONCE) {
    for (int step = 1; step < self->comm->size; step++) trade(self, step);
    MPI_Reduce_local(find_values(self, rank), find_sum(self), count_sent(self, rank), self->type,
                     MPI_SUM);
  }
  esp_release(self->received);
}

static void scatter_few(const scattering *self) {
  int *counts = make_counts(self->comm, self->begins);
  MPI_Reduce_scatter(self->values, self->part, counts, self->type, MPI_SUM, self->handle);
  esp_free(&counts);
}

static void reduce_scatter(const esp_comm *comm, const void *values, const int64_t *begins,
                           MPI_Datatype type, void *part) {
  scattering self = {.comm = comm, .type = type, .begins = begins, .values = values, .part = part};
  const int64_t n = begins[comm->size];
  MPI_Type_size(type, &self.size);
  self.handle = comm_count_local(comm, ESP_REDUCE_SCATTER, n * self.size);
  if (comm->size > 1 && n / comm->size >= FEW)
    scatter_many(&self);
  else
    scatter_few(&self);
}

void esp_reduce_scatter_i64(const esp_comm *comm, const int64_t *values, const int64_t *begins,
                            int64_t *part) {
  reduce_scatter(comm, values, begins, MPI_INT64_T, part);
}

void esp_reduce_scatter_f32(const esp_comm *comm, const float *values, const int64_t *begins,
                            float *part) {
  reduce_scatter(comm, values, begins, MPI_FLOAT, part);
}

static void allgather(const esp_comm *comm, const int64_t *begins, MPI_Datatype type, int size,
                      void *values) {
  int *counts = make_counts(comm, begins);
  const int64_t mine = begins[comm->rank + 1] - begins[comm->rank];
  MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, counts, counts + comm->size, type,
                 comm_count_local(comm, ESP_ALLGATHER, mine * size));
  esp_free(&counts);
}

void esp_allgather_f32(const esp_comm *comm, const int64_t *begins, float *values) {
  allgather(comm, begins, MPI_FLOAT, sizeof *values, values);
}

void esp_allgather_f64(const esp_comm *comm, const int64_t *begins, double *values) {
  allgather(comm, begins, MPI_DOUBLE, sizeof *values, values);
}
