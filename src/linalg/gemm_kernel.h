/* Products by blocks as Goto and van de Geijn 2008 have them: a panel of B is packed for the L2
 * cache, and a kernel multiplies a few rows of A by one strip of it in registers. An element of C
 * is its products added one by one, by fused operations in the order of k, in parts of
 * ESP_GEMM_DEPTH: the bits are the same by every kernel, at any sizes of C and any number of
 * threads. */
#ifndef ESPALIER_LINALG_GEMM_KERNEL_H
#define ESPALIER_LINALG_GEMM_KERNEL_H

#include "espalier/linalg/gemm.h"

enum {
  ESP_GEMM_DEPTH = 768,  // of the products that are added before C is
  ESP_GEMM_AT_ONCE = 16, // of the products that are packed before the next column or row is
  ESP_GEMM_MOST_ROWS = 14,
  ESP_GEMM_MOST_COLS = 32,
  ESP_GEMM_MOST_PANEL = 192 << 10, // floats
};

/* Some rows of C, all columns of a strip: C = alpha A B + beta C; with beta 0, C is not read. */
typedef struct gemm_step {
  int64_t k;
  const float *a; // of row r, product l: a[r * a_row + l * a_step]
  int64_t a_row, a_step;
  const float *b; // packed strip (k, columns), 64-byte aligned
  float *c;
  int64_t ldc;
  float alpha, beta;
  const float *next; // what is prefetched of A meanwhile: rows a_row apart
  int64_t next_rows; // at least 1
} gemm_step;

/* op(B) (k, n), as it is stored. */
typedef struct gemm_operand {
  const float *at;
  int64_t stride;
  bool transposed;
} gemm_operand;

typedef void (*gemm_multiply)(const gemm_step *step);

/* Copy rows of op(A) that is stored by columns, k of them, to packed (k, rows). */
typedef void (*gemm_pack_rows)(const float *a, int64_t stride, int64_t k, float *packed);

typedef struct gemm_kernel {
  const char *name;
  bool (*is_supported)(void); // NULL: it was not compiled
  int rows, cols;             // of C in registers; a strip of B has so many columns
  int64_t panel_floats;       // of packed B, in the L2 cache; at most ESP_GEMM_MOST_PANEL
  /* Pack n columns of B to strips (k, cols); columns beyond n are zeros. */
  void (*pack_b)(const gemm_operand *b, int64_t k, int64_t n, float *strips);
  const gemm_pack_rows *pack_a; // by the number of rows less one, as multiply
  const gemm_multiply *multiply;
} gemm_kernel;

extern const gemm_kernel esp_gemm_avx512, esp_gemm_avx2;

/* By a kernel; by the BLAS that is linked. Local. */
void esp_gemm_by_kernel(const gemm_kernel *kernel, const esp_gemm *product);
void esp_gemm_by_blas(const esp_gemm *product);

#endif
