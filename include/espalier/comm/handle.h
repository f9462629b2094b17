/* The MPI communicator behind an esp_comm: for programs that start MPI, and for libraries (HDF5,
 * BLACS) that communicate on their own. No other code sees MPI. */
#ifndef ESPALIER_COMM_HANDLE_H
#define ESPALIER_COMM_HANDLE_H

#include "espalier/comm/comm.h"

#include <mpi.h>

/* Duplicate parent. Collective on parent. */
void esp_comm_init(esp_comm *self, MPI_Comm parent);

/* Get the duplicate, for a library to communicate on; what it sends is not counted. Local. */
MPI_Comm esp_comm_get_handle_local(const esp_comm *comm);

#endif
