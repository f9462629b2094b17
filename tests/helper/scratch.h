/* One scratch file a test. */
#ifndef ESPALIER_TESTS_SCRATCH_H
#define ESPALIER_TESTS_SCRATCH_H

#include "mpi.h"

#include <stdio.h>
#include <unistd.h>

static char path[128], partial[160];

/* Name a file that is not there: path, and partial. Collective. */
static inline void set_path(const char *name) {
  snprintf(path, sizeof path, "%s", test_path(name));
  snprintf(partial, sizeof partial, "%s.partial", path);
  esp_barrier(&test_comm);
  if (test_comm.rank == 0) {
    unlink(path);
    unlink(partial);
  }
  esp_barrier(&test_comm);
}

#endif
