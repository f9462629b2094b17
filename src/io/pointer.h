/* Pointers of git-lfs: a clone without git-lfs leaves a text of three lines in place of each large
 * file [git-lfs, specification]. All local. */
#ifndef ESPALIER_SRC_IO_POINTER_H
#define ESPALIER_SRC_IO_POINTER_H

#include "espalier/core/status.h"

#include <stdbool.h>

enum { POINTER_HEAD_BYTES = 8 };

/* Whether a file that begins with these bytes, POINTER_HEAD_BYTES, can be a pointer. No
 * safetensors, HDF5 or JSON file begins so. */
bool pointer_begins_with(const void *head);

/* FORMAT: the file at path is a pointer. */
esp_status pointer_fail(const char *path);

/* FORMAT if the file at path begins like a pointer; OK if not, or if it cannot be read. */
esp_status pointer_check(const char *path);

#endif
