/* Joint counts C[a,b] = |{x > e_a and y > e_b}| = popcount(X_a AND Y_b), a, b = 1..B-1, for tiles
 * of pairs. One kernel a file, gathered in a table, the fastest supported one chosen at run time.
 */
#ifndef ESPALIER_INFORMATION_JOINT_H
#define ESPALIER_INFORMATION_JOINT_H

#include "espalier/core/c_linkage.h"
#include "espalier/information/planes.h"

#include <stdbool.h>

ESP_C_BEGIN

/* A tile of pairs: units [x_begin, x_begin + nx) of x with [y_begin, y_begin + ny) of y. Both have
 * the same n_words; bins may differ. */
typedef struct esp_tile {
  const esp_planes *x, *y;
  int64_t x_begin, nx, y_begin, ny;
} esp_tile;

/* Count elements of a tile's result: nx * ny * (Bx-1) * (By-1). */
int64_t esp_tile_count_cells(const esp_tile *tile);

typedef struct esp_joint_kernel {
  const char *name; // "avx512-vpopcntdq", "avx2", "portable"
  bool (*is_supported)(void);
  /* Write counts (nx, ny, Bx-1, By-1). */
  void (*count)(const esp_tile *tile, int32_t *counts);
} esp_joint_kernel;

/* The table, fastest first, ended by a row without name; and the first supported row, or the one
 * that the environment variable ESPALIER_KERNEL names if it is supported. */
extern const esp_joint_kernel *const esp_joint_kernels[];
const esp_joint_kernel *esp_joint_kernel_best(void);

/* Count a tile with the best kernel, OpenMP threads over rows of pairs. n_words * 64 < 2^31. */
void esp_count_joint(const esp_tile *tile, int32_t *counts);

/* Count each plane's bits: counts (U, B-1). */
void esp_count_marginals(const esp_planes *planes, int64_t *counts);

/* The naive reference: scatter histogram of two code columns (n each, values 0..B-1), as C[a,b]
 * (B-1, B-1). */
void esp_count_joint_naive(const uint8_t *x, const uint8_t *y, int64_t n, int bins,
                           int32_t *counts);

ESP_C_END

#endif
