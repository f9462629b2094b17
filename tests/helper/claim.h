/* Datasets as a program that lies makes them: of a size of which nothing was ever written. */
#ifndef ESPALIER_TESTS_CLAIM_H
#define ESPALIER_TESTS_CLAIM_H

#include "mpi.h"

#include <hdf5.h>
#include <unistd.h>

/* Add a chunked dataset of these dimensions (rank <= 4), or a scalar (rank 0), without values, to
 * the file at path. Rank 0 acts. */
static inline void test_claim(const char *path, const char *name, hid_t type, const hsize_t *dims,
                              int rank) {
  const hsize_t chunk[4] = {1, 1, 1, 1};
  if (test_comm.rank == 0) {
    const hid_t file = access(path, F_OK) == 0
                           ? H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT)
                           : H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    if (rank) H5Pset_chunk(how, rank, chunk);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    if (set < 0) MPI_Abort(MPI_COMM_WORLD, 3);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(how);
    H5Fclose(file);
  }
  esp_barrier(&test_comm);
}

#endif
