/* What the files of comm share. */
#ifndef ESPALIER_SRC_COMM_COMM_INTERNAL_H
#define ESPALIER_SRC_COMM_COMM_INTERNAL_H

#include "espalier/comm/comm.h"

#include <mpi.h>

struct esp_comm_state {
  MPI_Comm mpi; // owned duplicate
  esp_traffic traffic;
  esp_traffic *counted; // where calls are counted: traffic, or that of a team's parent
};

/* Count one call with this rank's bytes, and give the handle to make it on, so that none is made
 * uncounted. Local. */
MPI_Comm comm_count_local(const esp_comm *comm, esp_collective kind, int64_t bytes);

/* Elements (or bytes) a call of those that take any size: bounds what MPI allocates by the way. */
enum { COMM_CHUNK = 1 << 24 };

/* esp_bcast, counted as kind. Collective on comm. */
void comm_bcast(const esp_comm *comm, esp_collective kind, void *data, int64_t bytes, int root);

#endif
