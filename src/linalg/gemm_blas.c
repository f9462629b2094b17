#include "gemm_kernel.h"

#include "espalier/core/memory.h"
#include "sizes.h"

#include <cblas.h>

/* Tiles of C, by its sizes alone, since the bits of a BLAS depend on them: those by which the least
 * of A and B is packed twice (tiles of 128 x 256 run at 0.7 of the speed of a whole call, 512 x 512
 * at 0.86, 1024 x 1024 at 0.97), as long as there are some for threads to share. */
enum {
  LEAST_TILES = 4,
  LEAST_SIDE = 256,
  MOST_CELLS = 1 << 20,
  TILE_STEP = 64,
  SMALL_TILE_ROWS = 128,
  SMALL_TILE_COLS = 256
};

typedef struct tile_grid {
  int64_t rows, cols; // of a tile
  int64_t down, right;
} tile_grid;

/* About equal parts, in whole steps. */
static tile_grid cut(int64_t m, int64_t n, int64_t down, int64_t right) {
  tile_grid grid = {divide_up(divide_up(m, down), TILE_STEP) * TILE_STEP,
                    divide_up(divide_up(n, right), TILE_STEP) * TILE_STEP, 0, 0};
  grid.down = divide_up(m, grid.rows);
  grid.right = divide_up(n, grid.cols);
  return grid;
}

static bool is_fit(const tile_grid *grid) {
  return grid->down * grid->right >= LEAST_TILES && grid->rows * grid->cols <= MOST_CELLS;
}

/* A is packed for every column of tiles, B for every row. */
static int64_t count_packed(const tile_grid *grid, int64_t m, int64_t n) {
  return grid->right * m + grid->down * n;
}

static tile_grid lay_grid(int64_t m, int64_t n) {
  tile_grid best = {SMALL_TILE_ROWS, SMALL_TILE_COLS, divide_up(m, SMALL_TILE_ROWS),
                    divide_up(n, SMALL_TILE_COLS)};
  int64_t least = INT64_MAX;
  for (int64_t down = 1; down <= divide_up(m, LEAST_SIDE); down++)
    for (int64_t right = 1; right <= divide_up(n, LEAST_SIDE); right++) {
      const tile_grid grid = cut(m, n, down, right);
      if (!is_fit(&grid) || count_packed(&grid, m, n) >= least) continue;
      best = grid;
      least = count_packed(&grid, m, n);
    }
  return best;
}

static int clamp_stride(int64_t stride) {
  return esp_int(stride > 1 ? stride : 1);
}

static void compute_tile(const esp_gemm *p, const tile_grid *grid, int64_t tile) {
  const int64_t row = tile % grid->down * grid->rows, col = tile / grid->down * grid->cols;
  const int64_t rows = min_i64(grid->rows, p->m - row), cols = min_i64(grid->cols, p->n - col);
  cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
              p->transpose_b ? CblasTrans : CblasNoTrans, esp_int(rows), esp_int(cols),
              esp_int(p->k), p->alpha, p->a + (p->transpose_a ? row : row * p->lda),
              clamp_stride(p->lda), p->b + (p->transpose_b ? col * p->ldb : col),
              clamp_stride(p->ldb), p->beta, p->c + row * p->ldc + col, clamp_stride(p->ldc));
  if (p->finish) p->finish(p->context, &(esp_gemm_tile){row, col, rows, cols});
}

void esp_gemm_by_blas(const esp_gemm *product) {
  const tile_grid grid = lay_grid(product->m, product->n);
  const int64_t tiles = grid.down * grid.right;
#pragma omp parallel for schedule(dynamic) if (tiles > 1)
  for (int64_t tile = 0; tile < tiles; tile++) compute_tile(product, &grid, tile);
}
