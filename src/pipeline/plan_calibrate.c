/* A second of the kernels that the time goes to, on sizes like a real job's. */
#include "plan.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/linalg/gemm.h"
#include "espalier/linalg/solve.h"

#include <string.h>

/* FILE_BUFFERS: what HDF5 and MPI-IO hold once files have been written (measured). */
enum {
  FILE_BUFFERS = 1 << 20,
  SIDE = 512,
  WORDS = 1024,
  TILE = 64,
  COPY_BYTES = 32 << 20,
  REDUCE_COUNT = 1 << 18
};

static const double least_s = 0.05; // a kernel

static double time_gemm(void) {
  const int64_t n = SIDE;
  float *a = ESP_NEW(float, n *n), *c = ESP_NEW(float, n *n);
  for (int64_t i = 0; i < n * n; i++) a[i] = (float)esp_rng_uniform(1, 1, (uint64_t)i);
  const esp_gemm product = {.transpose_b = true,
                            .m = n,
                            .n = n,
                            .k = n,
                            .alpha = 1.0f,
                            .a = a,
                            .lda = n,
                            .b = a,
                            .ldb = n,
                            .c = c,
                            .ldc = n};
  esp_gemm_compute(&product); // the first one touches the library's buffers
  const double start = esp_now_s();
  double runs = 0.0;
  do {
    esp_gemm_compute(&product);
    runs++;
  } while (esp_now_s() - start < least_s);
  const double rate = runs * 2.0 * (double)(n * n * n) / (esp_now_s() - start);
  esp_free(&a);
  esp_free(&c);
  return rate;
}

static double get_gram(const void *context, int64_t i, int64_t j) {
  (void)context;
  return i == j ? 2.0 : 1.0 / (1.0 + (double)(i > j ? i - j : j - i));
}

static double get_right(const void *context, int64_t i, int64_t j) {
  (void)context;
  return (double)(i + j);
}

/* A small system, for what ScaLAPACK and a double-precision BLAS hold once they have been used. */
static void use_solver(const esp_comm *comm) {
  const esp_spd_problem problem = {
      .n = SIDE, .n_rhs = SIDE, .ridge = 4.0, .gram = get_gram, .rhs = get_right};
  double *x = ESP_NEW(double, SIDE *SIDE);
  const esp_status status = esp_solve_spd(comm, &problem, x);
  ESP_ASSERT(status == ESP_OK);
  esp_free(&x);
}

static double time_counts(void) {
  esp_planes planes;
  esp_planes_init(&planes, TILE, 4, WORDS);
  for (int64_t i = 0; i < TILE * 3 * WORDS; i++) planes.words[i] = esp_rng_u64(1, 2, (uint64_t)i);
  const esp_tile tile = {.x = &planes, .y = &planes, .nx = TILE, .ny = TILE};
  int32_t *counts = ESP_NEW(int32_t, esp_tile_count_cells(&tile));
  const double start = esp_now_s();
  double runs = 0.0;
  do {
    esp_count_joint(&tile, counts);
    runs++;
  } while (esp_now_s() - start < least_s);
  const double rate = runs * (double)(esp_tile_count_cells(&tile) * WORDS) / (esp_now_s() - start);
  esp_free(&counts);
  esp_planes_clear(&planes);
  return rate;
}

static double time_copies(void) {
  char *from = esp_alloc(COPY_BYTES, 1), *to = esp_alloc(COPY_BYTES, 1);
  const double start = esp_now_s();
  double runs = 0.0;
  do {
    from[(int64_t)runs] = 1;
    memcpy(to, from, COPY_BYTES);
    runs++;
  } while (esp_now_s() - start < least_s);
  const double rate = runs * COPY_BYTES / (esp_now_s() - start);
  esp_free(&from);
  esp_free(&to);
  return rate;
}

static double time_reductions(const esp_comm *comm) {
  enum { RUNS = 20 };
  if (comm->size == 1) return 0.0;
  int64_t *values = ESP_NEW(int64_t, REDUCE_COUNT);
  const double start = esp_now_s();
  for (int i = 0; i < RUNS; i++) esp_allreduce_sum_i64(comm, values, REDUCE_COUNT);
  const double rate = RUNS * (double)REDUCE_COUNT * sizeof *values / (esp_now_s() - start);
  esp_free(&values);
  return rate;
}

void plan_calibrate(const esp_comm *comm, plan_machine *machine) {
  *machine = (plan_machine){.flops_per_s = time_gemm(), .words_per_s = time_counts()};
  use_solver(comm);
  machine->copy_bytes_per_s = time_copies();
  machine->reduce_bytes_per_s = time_reductions(comm);
}

double plan_measure_base(const esp_comm *comm) {
  esp_release_unused();
  esp_take_peak_anonymous_bytes();
  return esp_allreduce_max(comm, (double)esp_take_peak_anonymous_bytes()) + FILE_BUFFERS;
}
