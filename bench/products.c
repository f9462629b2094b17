/* Single-precision products as forward passes and moments have them, by the program's own kernels,
 * by the BLAS that it is linked with and by others: bench_products [LIBRARY.so...] takes
 * cblas_sgemm, dnnl_sgemm or sgemm_ out of each. Gigaflops a second of CPU time, medians of runs by
 * turns, on one thread; and whether a product has the same bits whole and in tiles. */
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/linalg/gemm.h"

#include <cblas.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 9, MOST_LIBRARIES = 8, COPIES = 4 };

/* C (m, n) = A B; A (m, k) or (k, m) transposed, B (k, n) or (n, k) transposed. */
typedef struct shape {
  const char *name;
  int m, n, k;
  char transpose_a, transpose_b; // 'T' or 'N'
} shape;

static const shape shapes[] = {
    {"attention projections", 512, 576, 576, 'N', 'T'},
    {"up, SmolLM2", 512, 1536, 576, 'N', 'T'},
    {"down, SmolLM2", 512, 576, 1536, 'N', 'T'},
    {"a tile of it", 512, 320, 1536, 'N', 'T'},
    {"the same, 128 rows", 128, 576, 1536, 'N', 'T'},
    {"head, SmolLM2", 512, 49152, 576, 'N', 'T'},
    {"up, MiniLM", 512, 1536, 384, 'N', 'T'},
    {"down, MiniLM", 512, 384, 1536, 'N', 'T'},
    {"up, GPT-2", 512, 3072, 768, 'N', 'N'},
    {"down, 1 billion", 512, 2048, 5632, 'N', 'T'},
    {"attention, 1 billion", 512, 2048, 2048, 'N', 'T'},
    {"attention, 7 billion", 512, 4096, 4096, 'N', 'T'},
    {"scores of attention", 64, 512, 64, 'N', 'T'},
    {"a tile of moments", 384, 384, 1024, 'T', 'N'},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef void (*cblas_function)(CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, int, int, int, float,
                               const float *, int, const float *, int, float, float *, int);
typedef int (*dnnl_function)(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t,
                             const float *, int64_t, float, float *, int64_t);

typedef void (*fortran_function)(const char *, const char *, const int *, const int *, const int *,
                                 const float *, const float *, const int *, const float *,
                                 const int *, const float *, float *, const int *);

typedef struct library {
  const char *name;
  const char *own;      // a kernel of esp_gemm; or else
  cblas_function cblas; // or else
  dnnl_function dnnl;   // or else
  fortran_function fortran;
} library;

/* COPIES of the operands in turn, so that they come from memory, as weights and states do. */
typedef struct operands {
  float *a, *b, *c;
} operands;

static double cpu_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void multiply(const library *by, const shape *of, const operands *on) {
  const int lda = of->transpose_a == 'T' ? of->m : of->k;
  const int ldb = of->transpose_b == 'T' ? of->k : of->n;
  const float one = 1.0f, zero = 0.0f;
  if (by->own)
    esp_gemm_compute(&(esp_gemm){.transpose_a = of->transpose_a == 'T',
                                 .transpose_b = of->transpose_b == 'T',
                                 .m = of->m,
                                 .n = of->n,
                                 .k = of->k,
                                 .alpha = 1.0f,
                                 .a = on->a,
                                 .lda = lda,
                                 .b = on->b,
                                 .ldb = ldb,
                                 .c = on->c,
                                 .ldc = of->n});
  else if (by->cblas)
    by->cblas(CblasRowMajor, of->transpose_a == 'T' ? CblasTrans : CblasNoTrans,
              of->transpose_b == 'T' ? CblasTrans : CblasNoTrans, of->m, of->n, of->k, 1.0f, on->a,
              lda, on->b, ldb, 0.0f, on->c, of->n);
  else if (by->dnnl)
    by->dnnl(of->transpose_a, of->transpose_b, of->m, of->n, of->k, 1.0f, on->a, lda, on->b, ldb,
             0.0f, on->c, of->n);
  else // by columns: C^T = B^T A^T
    by->fortran(&of->transpose_b, &of->transpose_a, &of->n, &of->m, &of->k, &one, on->b, &ldb,
                on->a, &lda, &zero, on->c, &of->n);
}

static double count_operations(const shape *of) {
  return 2.0 * of->m * of->n * of->k;
}

static double measure(const library *by, const shape *of, const operands *on) {
  int times = (int)(4e9 / count_operations(of));
  if (times < 1) times = 1;
  multiply(by, of, on);
  const double start = cpu_now_s();
  for (int i = 0; i < times; i++) multiply(by, of, &on[i % COPIES]);
  return count_operations(of) * times / (cpu_now_s() - start);
}

static void fill(float *x, int64_t n, uint64_t seed) {
  for (int64_t i = 0; i < n; i++) x[i] = (float)esp_rng_uniform(seed, 0, (uint64_t)i) - 0.5f;
}

static void init_operands(operands *on, const shape *of) {
  const int64_t m = of->m, n = of->n, k = of->k;
  for (int i = 0; i < COPIES; i++) {
    on[i] = (operands){ESP_NEW(float, m *k), ESP_NEW(float, k *n), ESP_NEW(float, m *n)};
    fill(on[i].a, m * k, 1);
    fill(on[i].b, k * n, 2);
  }
}

static void clear_operands(operands *on) {
  for (int i = 0; i < COPIES; i++) {
    esp_free(&on[i].a);
    esp_free(&on[i].b);
    esp_free(&on[i].c);
  }
}

/* The upper left corner of half the rows and 5/9 of the columns, alone. */
static bool has_bits_of_tile(const library *by, const shape *of, const operands *on) {
  shape part = *of;
  const operands tile = {on[0].a, on[0].b, on[1].c};
  part.m = of->m / 2;
  if (of->transpose_b == 'N' || of->transpose_a == 'T') return true; // other strides
  part.n = of->n * 5 / 9;
  multiply(by, of, on);
  multiply(by, &part, &tile);
  for (int i = 0; i < part.m; i++)
    if (memcmp(tile.c + (int64_t)i * part.n, on[0].c + (int64_t)i * of->n,
               (size_t)part.n * sizeof *tile.c) != 0)
      return false;
  return true;
}

static int compare_rates(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure_shape(const shape *of, const library *list, int n) {
  double rates[MOST_LIBRARIES][RUNS];
  operands on[COPIES];
  init_operands(on, of);
  for (int run = 0; run < RUNS; run++)
    for (int l = 0; l < n; l++) rates[l][run] = measure(&list[l], of, on);
  printf("%-22s %5d %6d %5d %c%c", of->name, of->m, of->n, of->k, of->transpose_a, of->transpose_b);
  for (int l = 0; l < n; l++) {
    qsort(rates[l], RUNS, sizeof *rates[l], compare_rates);
    printf("  %10.1f%s", rates[l][RUNS / 2] / 1e9, has_bits_of_tile(&list[l], of, on) ? " " : "*");
  }
  printf("\n");
  fflush(stdout);
  clear_operands(on);
}

static bool open_library(library *self, const char *path) {
  void *const from = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  void *const cblas = from ? dlsym(from, "cblas_sgemm") : NULL;
  void *const dnnl = from ? dlsym(from, "dnnl_sgemm") : NULL;
  void *const fortran = from ? dlsym(from, "sgemm_") : NULL;
  const char *const slash = strrchr(path, '/');
  *self = (library){.name = slash ? slash + 1 : path};
  memcpy(&self->cblas, &cblas, sizeof cblas);
  memcpy(&self->dnnl, &dnnl, sizeof dnnl);
  memcpy(&self->fortran, &fortran, sizeof fortran);
  if (cblas || dnnl || fortran) return true;
  fprintf(stderr, "%s: %s\n", path, from ? "no product of matrices" : dlerror());
  return false;
}

/* CPU seconds of this thread say nothing of others'. */
static bool is_of_one_thread(void) {
  const char *const names[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"};
  for (int i = 0; i < 2; i++) {
    const char *threads = getenv(names[i]);
    if (threads && strcmp(threads, "1") == 0) continue;
    fprintf(stderr, "expected %s=1, found %s; one thread is timed\n", names[i],
            threads ? threads : "none");
    return false;
  }
  return true;
}

int main(int argc, char **argv) {
  if (!is_of_one_thread()) return 2;
  library list[MOST_LIBRARIES] = {{.name = "linked", .cblas = cblas_sgemm},
                                  {.name = esp_gemm_kernel_name(), .own = esp_gemm_kernel_name()}};
  int n = 2;
  for (int i = 1; i < argc && n < MOST_LIBRARIES; i++) n += open_library(&list[n], argv[i]);
  printf("%-22s %5s %6s %5s   ", "product", "m", "n", "k");
  for (int l = 0; l < n; l++) printf("  %11.11s", list[l].name);
  printf("\n");
  for (int s = 0; s < SHAPES; s++) measure_shape(&shapes[s], list, n);
  printf("*: other bits than a tile of the same product alone\n");
  return 0;
}
