/* One scratch folder a test. */
#ifndef ESPALIER_TESTS_SCRATCH_FOLDER_H
#define ESPALIER_TESTS_SCRATCH_FOLDER_H

#include "mpi.h"

#include <stdio.h>

static char folder[128];

/* Make an empty one. Collective. */
static inline void make_folder(const char *name) {
  snprintf(folder, sizeof folder, "%s", test_path(name));
  test_make_folder(folder);
}

#endif
