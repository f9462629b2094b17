#include "espalier/information/joint.h"

#include "espalier/core/clones.h"
#include "espalier/core/log.h"
#include "espalier/core/status.h"
#include "joint_kernel.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREAD_UNITS = 64 };

static const esp_joint_kernel end_of_table = {0};
const esp_joint_kernel *const esp_joint_kernels[] = {&esp_joint_avx512, &esp_joint_avx2,
                                                     &esp_joint_portable, &end_of_table};

int64_t esp_tile_count_cells(const esp_tile *tile) {
  return tile->nx * tile->ny * (tile->x->bins - 1) * (tile->y->bins - 1);
}

/* The first supported kernel of this name (NULL: of any name), or NULL. */
static const esp_joint_kernel *find_supported(const char *name) {
  for (const esp_joint_kernel *const *row = esp_joint_kernels; (*row)->name; row++)
    if ((!name || strcmp((*row)->name, name) == 0) && (*row)->is_supported()) return *row;
  return NULL;
}

const esp_joint_kernel *esp_joint_kernel_best(void) {
  static atomic_flag warned = ATOMIC_FLAG_INIT;
  const char *wanted = getenv("ESPALIER_KERNEL");
  const esp_joint_kernel *best = find_supported(NULL),
                         *named = wanted && *wanted ? find_supported(wanted) : best;
  if (!named && !atomic_flag_test_and_set(&warned))
    esp_log_warn("ESPALIER_KERNEL names '%s', which this machine does not support; '%s' is used",
                 wanted, best->name);
  return named ? named : best;
}

void esp_count_joint(const esp_tile *tile, int32_t *counts) {
  const esp_joint_kernel *kernel = esp_joint_kernel_best();
  const int64_t threads = omp_get_max_threads(), share = (tile->nx + threads - 1) / threads;
  const int64_t step = share < 1 ? 1 : share < THREAD_UNITS ? share : THREAD_UNITS;
#pragma omp parallel for schedule(dynamic)
  for (int64_t begin = 0; begin < tile->nx; begin += step) {
    esp_tile part = *tile;
    part.x_begin += begin;
    part.nx = tile->nx - begin < step ? tile->nx - begin : step;
    const esp_tile before = {tile->x, tile->y, 0, begin, 0, tile->ny};
    kernel->count(&part, counts + esp_tile_count_cells(&before));
  }
}

ESP_CLONES static int64_t count_bits(const uint64_t *words, int64_t n) {
  int64_t bits = 0;
#pragma omp simd reduction(+ : bits)
  for (int64_t w = 0; w < n; w++) bits += esp_popcount(words[w]);
  return bits;
}

void esp_count_marginals(const esp_planes *planes, int64_t *counts) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < planes->units * (planes->bins - 1); row++)
    counts[row] = count_bits(planes->words + row * planes->stride, planes->n_words);
}
