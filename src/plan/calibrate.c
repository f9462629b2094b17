/* A part of a second of the kernels that the time goes to, on sizes like a real job's. */
#include "plan_job.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/io/cost.h"
#include "espalier/linalg/gemm.h"
#include "espalier/linalg/solve.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum {
  SIDE = 512,
  VALUES = 1 << 16,
  LEAST_RUNS = 3,
  WORDS = 1024,
  TILE = 64,
  COPY_BYTES = 16 << 20,
  REDUCE_COUNT = 1 << 18
};

static const double least_s = 0.02; // a kernel

typedef struct stopwatch {
  double wall_s;
  clock_t processor;
} stopwatch;

static stopwatch start_watch(void) {
  return (stopwatch){esp_now_s(), clock()};
}

/* Seconds since then: those of the processor, where others took turns on it; threads add up in
 * these, but not in time as it passes. */
static double read_watch(const stopwatch *self) {
  const double processor_s = (double)(clock() - self->processor) / CLOCKS_PER_SEC;
  const double wall_s = esp_now_s() - self->wall_s;
  return fmax(fmin(processor_s, wall_s), 1e-6);
}

/* Seconds of one run, the fastest. */
static double time_best(void (*run)(void *), void *context) {
  double best = 0.0;
  int runs = 0;
  const double end = esp_now_s() + least_s;
  run(context); // the first one touches memory, and the libraries' buffers
  do {
    const stopwatch start = start_watch();
    run(context);
    const double took = read_watch(&start);
    if (runs == 0 || took < best) best = took;
  } while (++runs < LEAST_RUNS || esp_now_s() < end);
  return best;
}

static void run_gemm(void *context) {
  esp_gemm_compute(context);
}

static double time_gemm(void) {
  const int64_t n = SIDE;
  float *a = ESP_NEW(float, SIDE *n), *c = ESP_NEW(float, SIDE *n);
  for (int64_t i = 0; i < SIDE * n; i++) a[i] = (float)esp_rng_uniform(1, 1, (uint64_t)i);
  esp_gemm product = {.transpose_b = true,
                      .m = SIDE,
                      .n = n,
                      .k = n,
                      .alpha = 1.0f,
                      .a = a,
                      .lda = n,
                      .b = a,
                      .ldb = n,
                      .c = c,
                      .ldc = n};
  const double took = time_best(run_gemm, &product);
  esp_free(&a);
  esp_free(&c);
  return 2.0 * (double)(SIDE * n * n) / took;
}

static void run_values(void *context) {
  float *x = context;
  for (int i = 0; i < VALUES; i++) x[i] = x[i] / (1.0f + expf(-x[i]));
}

static double time_values(void) {
  float *x = ESP_NEW(float, VALUES);
  for (int i = 0; i < VALUES; i++) x[i] = (float)(i % 7) - 3.0f;
  const double took = time_best(run_values, x);
  esp_free(&x);
  return VALUES / took;
}

static double get_gram(const void *context, int64_t i, int64_t j) {
  (void)context;
  return i == j ? 2.0 : 1.0 / (1.0 + (double)(i > j ? i - j : j - i));
}

static double get_right(const void *context, int64_t i, int64_t j) {
  (void)context;
  return (double)(i + j);
}

typedef struct linear_system {
  const esp_comm *comm;
  esp_spd_problem problem;
  double *x;
} linear_system;

static void run_solver(void *context) {
  linear_system *self = context;
  const esp_status status = esp_solve_spd(self->comm, &self->problem, self->x);
  ESP_ASSERT(status == ESP_OK);
}

/* All ranks solve together, so as often on each. Afterwards ScaLAPACK and a double-precision BLAS
 * hold what they hold once they have been used. */
static double time_solver(const esp_comm *comm, int64_t n) {
  double *x = ESP_NEW(double, n *n);
  linear_system self = {
      comm, {.n = n, .n_rhs = n, .ridge = 4.0, .gram = get_gram, .rhs = get_right, .whole = -1}, x};
  double best = 0.0;
  for (int i = 0; i < LEAST_RUNS; i++) {
    const stopwatch start = start_watch();
    run_solver(&self);
    const double took = esp_agree_max_f64(comm, read_watch(&start));
    if (i == 0 || took < best) best = took;
  }
  esp_free(&x);
  return best;
}

typedef struct counting {
  esp_tile tile;
  int32_t *counts;
} counting;

static void run_counts(void *context) {
  const counting *self = context;
  esp_count_joint(&self->tile, self->counts);
}

static double time_counts(void) {
  esp_planes planes;
  esp_planes_init(&planes, TILE, 4, WORDS);
  for (int64_t i = 0; i < TILE * 3 * WORDS; i++) planes.words[i] = esp_rng_u64(1, 2, (uint64_t)i);
  counting self = {{.x = &planes, .y = &planes, .nx = TILE, .ny = TILE}, NULL};
  const int64_t cells = esp_tile_count_cells(&self.tile);
  self.counts = ESP_NEW(int32_t, cells);
  const double took = time_best(run_counts, &self);
  esp_free(&self.counts);
  esp_planes_clear(&planes);
  return (double)(cells * WORDS) / took;
}

typedef struct copying {
  char *from, *to;
} copying;

static void run_copy(void *context) {
  copying *self = context;
  self->from[0]++;
  memcpy(self->to, self->from, COPY_BYTES);
}

static double time_copies(void) {
  copying self = {esp_alloc(COPY_BYTES, 1), esp_alloc(COPY_BYTES, 1)};
  const double took = time_best(run_copy, &self);
  esp_free(&self.from);
  esp_free(&self.to);
  return COPY_BYTES / took;
}

static double time_reductions(const esp_comm *comm) {
  enum { RUNS = 10 };
  if (comm->size == 1) return 0.0;
  int64_t *values = ESP_NEW(int64_t, REDUCE_COUNT);
  const double start = esp_now_s();
  for (int i = 0; i < RUNS; i++) esp_allreduce_sum_i64(comm, values, REDUCE_COUNT);
  const double rate = RUNS * (double)REDUCE_COUNT * sizeof *values / (esp_now_s() - start);
  esp_free(&values);
  return rate;
}

void plan_calibrate(const esp_comm *comm, esp_plan_machine *machine) {
  const double n = SIDE;
  *machine = (esp_plan_machine){
      .flops_per_s = time_gemm(), .words_per_s = time_counts(), .values_per_s = time_values()};
  const double held = plan_measure_base(comm);
  machine->solve_s = time_solver(comm, 1);
  const double rest_s = fmax(time_solver(comm, SIDE) - machine->solve_s, machine->solve_s);
  machine->solver_flops_per_s = n * n * n * (1.0 / 3.0 + 2.0) / rest_s / comm->size;
  machine->solver_bytes = fmax(plan_measure_base(comm) - held, 0.0);
  machine->copy_bytes_per_s = time_copies();
  machine->reduce_bytes_per_s = time_reductions(comm);
}

double plan_measure_base(const esp_comm *comm) {
  esp_release_unused();
  esp_take_peak_anonymous_bytes();
  return esp_agree_max_f64(comm, (double)esp_take_peak_anonymous_bytes()) + ESP_H5_BUFFER_BYTES;
}
