/* The MPI communicator behind an esp_comm: for programs that start MPI, and for libraries (HDF5,
 * BLACS) that communicate on their own. No other code sees MPI. */
#ifndef ESPALIER_COMM_HANDLE_H
#define ESPALIER_COMM_HANDLE_H

#include "espalier/comm/comm.h"
#include "espalier/core/c_linkage.h"

/* Not MPI's own bindings for C++, which the standard has dropped; HDF5 leaves them out likewise. */
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

ESP_C_BEGIN

/* Duplicate parent. Collective on parent. */
void esp_comm_init(esp_comm *self, MPI_Comm parent);

/* Get the duplicate, for a library to communicate on; what it sends is not counted. Local. */
MPI_Comm esp_comm_get_handle_local(const esp_comm *comm);

ESP_C_END

#endif
