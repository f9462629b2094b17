/* Dense single-precision products, by kernels for AVX-512 and AVX2 and, on other machines, by
 * CBLAS. With the kernels an element of C is its k products added one by one, by fused operations
 * and in parts of at most 768: its bits depend on nothing but its row, its column, alpha, beta and
 * what it was: not on the sizes of C, the number of threads, or which kernel. CBLAS gets tiles of C
 * that depend on its sizes alone, so that its bits are the same at any number of threads too. */
#ifndef ESPALIER_LINALG_GEMM_H
#define ESPALIER_LINALG_GEMM_H

#include "espalier/core/c_linkage.h"

#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

/* Rows and columns of C. */
typedef struct esp_gemm_tile {
  int64_t row, col, rows, cols;
} esp_gemm_tile;

/* C (m, n) = alpha op(A) op(B) + beta C, row-major. Zero sizes are fine; with beta 0, C is not
 * read. */
typedef struct esp_gemm {
  bool transpose_a, transpose_b; // op(A) is (m, k), op(B) is (k, n)
  bool upper; // elements left of the diagonal of C are not wanted: they may get any value
  int64_t m, n, k;
  float alpha, beta;
  const float *a; // borrowed, row stride lda
  int64_t lda;
  const float *b; // borrowed, row stride ldb
  int64_t ldb;
  float *c; // row stride ldc
  int64_t ldc;
  /* What to do with each part of C once it is there, in its thread and while it is in the cache;
   * NULL: nothing. */
  void (*finish)(const void *context, const esp_gemm_tile *tile);
  const void *context; // borrowed
} esp_gemm;

/* Local. */
void esp_gemm_compute(const esp_gemm *product);

/* Name what computes: of the table in gemm.c the first that the machine supports, or what the
 * environment variable ESPALIER_GEMM names if it is supported. "blas" is the linked CBLAS. Local.
 */
const char *esp_gemm_kernel_name(void);

/* Keep OpenBLAS to one thread a call (another BLAS: by its environment); main calls it once. Local.
 */
void esp_blas_use_one_thread(void);

/* Count the bytes of address space that BLAS takes for itself at its first calls, with one for
 * every OpenMP thread at once; 0: not known. OpenBLAS 0.3.21 waits for ever where it cannot get
 * them. Local.
 */
int64_t esp_blas_count_buffer_bytes(void);

ESP_C_END

#endif
