/* Communication: a communicator, agreement on failures and numbers, block ranges, collectives.
 *
 * Every function whose first parameter is an esp_comm is collective on it unless its name ends in
 * _local. Callers do not see MPI, so that all that is sent is counted (comm/traffic.h). */
#ifndef ESPALIER_COMM_COMM_H
#define ESPALIER_COMM_COMM_H

#include "espalier/comm/traffic.h"
#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

ESP_C_BEGIN

/* Caller's struct, made by esp_comm_init (comm/handle.h), esp_comm_init_local, esp_comm_init_team
 * or esp_comm_pretend; members are read-only outside comm. */
typedef struct esp_comm {
  int rank, size;
  struct esp_comm_state *state; // MPI's handle and the traffic, owned; NULL of a pretended one
} esp_comm;

/* Make a communicator of this process alone: collective functions then serve it alone. Local. */
void esp_comm_init_local(esp_comm *self);
/* Make the communicator of the ranks of parent that give the same number, in parent's order, for
 * work that is theirs alone. What it sends is counted as parent's, which must outlive it.
 * Collective on parent. */
void esp_comm_init_team(esp_comm *self, const esp_comm *parent, int team);
/* Give the communicator that a rank of `size` would have, to ask what it would be dealt: ranges,
 * shards, sizes. It needs no clearing; collective functions refuse it (ESP_ASSERT). Local. */
esp_comm esp_comm_pretend(int rank, int size);
/* Free; a second call does nothing. Collective on self. */
void esp_comm_clear(esp_comm *self);
/* Get what this rank has sent so far; borrowed. Local. */
const esp_traffic *esp_comm_get_traffic_local(const esp_comm *comm);

/* Give every rank the same status and failure text: those of the lowest failing rank. One 4-byte
 * allreduce when all is well. Collective on comm. Returns that status on all ranks. */
esp_status esp_agree(const esp_comm *comm, esp_status mine);
/* The same behind a collective call of another library, which a failing rank may have left while
 * the others wait in it for ever: if these don't come within seconds, the failing rank ends the job
 * with its line and its code (esp_end_job). Collective on comm. */
esp_status esp_agree_or_end(const esp_comm *comm, esp_status mine);

/* Agree on a number that steers the run: the largest, or the sum, over ranks. Collective on comm.
 * Counted as control, as is the barrier. */
double esp_agree_max_f64(const esp_comm *comm, double value);
int64_t esp_agree_max_i64(const esp_comm *comm, int64_t value);
int64_t esp_agree_sum_i64(const esp_comm *comm, int64_t value);
/* Wait until every rank has come here. Collective on comm. */
void esp_barrier(const esp_comm *comm);

/* Min, mean and max of a value over ranks (for reports, not for decisions). Collective on comm;
 * counted as control. */
typedef struct esp_spread {
  double min, mean, max;
  int max_rank; // lowest rank that has the maximum
} esp_spread;
esp_spread esp_compute_spread(const esp_comm *comm, double value);

/* Block range of n items over parts: [begin(part), begin(part + 1)), sizes differ by at most one.
 * Local. */
static inline int64_t esp_block_begin(int64_t n, int64_t parts, int64_t part) {
  const int64_t rest = n % parts;
  return n / parts * part + (part < rest ? part : rest);
}

/* Broadcast bytes of any size from root. Collective on comm; equal on all ranks: bytes, root. */
void esp_bcast(const esp_comm *comm, void *data, int64_t bytes, int root);
/* Broadcast a string from root; *text is NULL or owned: others get a new copy (NULL stays NULL).
 * Collective on comm; equal on all ranks: root. */
void esp_bcast_text(const esp_comm *comm, char **text, int root);

/* Sum integers over ranks in place: exact, so the same at any rank count. Any size. A sum must fit
 * its type. Collective on comm; equal on all ranks: count. */
void esp_allreduce_sum_i32(const esp_comm *comm, int32_t *values, int64_t count);
void esp_allreduce_sum_i64(const esp_comm *comm, int64_t *values, int64_t count);
/* Take the largest over ranks in place; no value may be NaN. Any size. Collective on comm; equal on
 * all ranks: count. */
void esp_allreduce_max_f64(const esp_comm *comm, double *values, int64_t count);
/* Gather arrays of floats over ranks in place, where at most one rank has a value and the others
 * have +0 in each place: the value's bits, NaN and -0 too, at any rank count. Any size. Collective
 * on comm; equal on all ranks: count. */
void esp_allreduce_gather_f32(const esp_comm *comm, float *values, int64_t count);
void esp_allreduce_gather_f64(const esp_comm *comm, double *values, int64_t count);
/* The same on root alone; the others' values stay as they are. Collective on comm; equal on all
 * ranks: count, root. */
void esp_reduce_gather_f64(const esp_comm *comm, double *values, int64_t count, int root);

/* Arrays that are dealt in parts: rank r's is [begins[r], begins[r + 1]), begins (size + 1) from 0
 * to count, below 2^31. Sum over ranks, where each rank gets its part of the sum (integers: exact;
 * of floats the bits depend on the ranks), and put the parts of all ranks together in place.
 * Collective on comm; equal on all ranks: begins. values  in   (count); of the gathering this
 * rank's part, out: all part    out  (begins[rank + 1] - begins[rank]) */
void esp_reduce_scatter_i64(const esp_comm *comm, const int64_t *values, const int64_t *begins,
                            int64_t *part);
void esp_reduce_scatter_f32(const esp_comm *comm, const float *values, const int64_t *begins,
                            float *part);
void esp_allgather_f32(const esp_comm *comm, const int64_t *begins, float *values);
void esp_allgather_f64(const esp_comm *comm, const int64_t *begins, double *values);

/* Gather a number of each rank on all: values (size). Collective on comm; equal on all ranks: kind,
 * as which it is counted. */
void esp_allgather_i64(const esp_comm *comm, esp_collective kind, int64_t value, int64_t *values);
/* Gather rows of floats on root, in the order of ranks. Collective on comm; equal on all ranks:
 * width, counts, root.
 *   rows    in   (counts[rank], width), this rank's
 *   counts  in   (size), rows of each rank
 *   all     out  (sum of counts, width) on root; others may pass NULL */
void esp_gather_rows_f32(const esp_comm *comm, const float *rows, int64_t width,
                         const int64_t *counts, int root, float *all);

ESP_C_END

#endif
