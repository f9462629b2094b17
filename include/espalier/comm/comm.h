/* Communication: a duplicated communicator, agreement on failures, block ranges, large collectives.
 *
 * Every function that takes an esp_comm is collective on it unless its name ends in _local. */
#ifndef ESPALIER_COMM_COMM_H
#define ESPALIER_COMM_COMM_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

/* Not MPI's own bindings for C++, which the standard has dropped; HDF5 leaves them out likewise. */
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

ESP_C_BEGIN

/* Caller's struct; members are read-only outside comm. */
typedef struct esp_comm {
  MPI_Comm mpi; // owned duplicate
  int rank, size;
} esp_comm;

/* Duplicate parent. Collective on parent. */
void esp_comm_init(esp_comm *self, MPI_Comm parent);
/* Free the duplicate; a second call does nothing. */
void esp_comm_clear(esp_comm *self);

/* Give every rank the same status and failure text: those of the lowest failing rank.
 * One 4-byte allreduce when all is well. Returns that status on all ranks. */
esp_status esp_agree(const esp_comm *comm, esp_status mine);

/* Block range of n items over parts: [begin(part), begin(part + 1)), sizes differ by at most one.
 */
static inline int64_t esp_block_begin(int64_t n, int64_t parts, int64_t part) {
  const int64_t rest = n % parts;
  return n / parts * part + (part < rest ? part : rest);
}

/* Broadcast bytes of any size from root. */
void esp_bcast(const esp_comm *comm, void *data, int64_t bytes, int root);
/* Broadcast a string from root; *text is NULL or owned: others get a new copy (NULL stays NULL). */
void esp_bcast_text(const esp_comm *comm, char **text, int root);

/* Sum integers over ranks in place: exact, so the same at any rank count. Any size. */
void esp_allreduce_sum_i64(const esp_comm *comm, int64_t *values, int64_t count);
/* Gather arrays of floats over ranks in place, where at most one rank has a value and the others
 * have +0 in each place: the value's bits, NaN and -0 too, at any rank count. Any size. */
void esp_allreduce_gather_f32(const esp_comm *comm, float *values, int64_t count);
void esp_allreduce_gather_f64(const esp_comm *comm, double *values, int64_t count);
double esp_allreduce_max(const esp_comm *comm, double value);
/* Min, mean and max of a value over ranks (for reports, not for decisions). */
typedef struct esp_spread {
  double min, mean, max;
  int max_rank; // lowest rank that has the maximum
} esp_spread;
esp_spread esp_compute_spread(const esp_comm *comm, double value);

ESP_C_END

#endif
