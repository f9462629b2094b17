#include "espalier/linalg/gemm.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <omp.h>

/* Tiles of C, by the sizes alone. 256 x 256 costs 0-6 % against one whole call; small products get
 * half as high tiles, so that a few threads all have work. */
enum { TILE_ROWS = 256, TILE_COLS = 256, SMALL_TILE_ROWS = 128, MANY_TILES = 16 };

static int64_t choose_tile_rows(int64_t m, int64_t n) {
  const int64_t many = (int64_t)MANY_TILES * TILE_ROWS * TILE_COLS;
  return m * n >= many ? TILE_ROWS : SMALL_TILE_ROWS;
}

static int clamp_stride(int64_t stride) {
  return esp_int(stride > 1 ? stride : 1);
}

static int64_t min_i64(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static void compute_tile(const esp_gemm *p, int64_t row, int64_t col, int64_t tile_rows) {
  cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
              p->transpose_b ? CblasTrans : CblasNoTrans, esp_int(min_i64(tile_rows, p->m - row)),
              esp_int(min_i64(TILE_COLS, p->n - col)), esp_int(p->k), p->alpha,
              p->a + (p->transpose_a ? row : row * p->lda), clamp_stride(p->lda),
              p->b + (p->transpose_b ? col * p->ldb : col), clamp_stride(p->ldb), p->beta,
              p->c + row * p->ldc + col, clamp_stride(p->ldc));
}

void esp_gemm_compute(const esp_gemm *product) {
  if (product->m == 0 || product->n == 0) return;
  const int64_t tile_rows = choose_tile_rows(product->m, product->n);
  const int64_t tiles_down = (product->m + tile_rows - 1) / tile_rows;
  const int64_t tiles = tiles_down * ((product->n + TILE_COLS - 1) / TILE_COLS);
#pragma omp parallel for schedule(dynamic) if (tiles > 1)
  for (int64_t tile = 0; tile < tiles; tile++)
    compute_tile(product, tile % tiles_down * tile_rows, tile / tiles_down * TILE_COLS, tile_rows);
}

#ifdef ESPALIER_HAVE_OPENBLAS
void openblas_set_num_threads(int threads); // not in every cblas.h

void esp_blas_use_one_thread(void) {
  openblas_set_num_threads(1);
}

/* BUFFER_SIZE of its x86-64 builds, the largest; one for every thread that calls it. */
int64_t esp_blas_count_buffer_bytes(void) {
  return ((int64_t)128 << 20) * omp_get_max_threads();
}
#else
void esp_blas_use_one_thread(void) {} // by the environment: MKL is serial inside a parallel region

int64_t esp_blas_count_buffer_bytes(void) {
  return 0; // it says itself what it cannot get
}
#endif
