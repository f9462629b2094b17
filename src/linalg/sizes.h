/* Sizes of parts. */
#ifndef ESPALIER_LINALG_SIZES_H
#define ESPALIER_LINALG_SIZES_H

#include <stdint.h>

/* Rounded up. */
static inline int64_t divide_up(int64_t n, int64_t by) {
  return (n + by - 1) / by;
}

static inline int64_t min_i64(int64_t a, int64_t b) {
  return a < b ? a : b;
}

#endif
