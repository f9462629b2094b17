/* Two sweeps over the blocks of columns, k from the first to the last, each with one broadcast of
 * block k. In the first A becomes N = L^-1, A = L L^T: behind factoring block k, its panel of L is
 * taken from the blocks to its right (Cholesky, right-looking), and from those to its left, which
 * hold columns of N as far as they are known. In the second A^-1 = N^T N comes row by row: row k of
 * a block needs the rows of N from k on, so that it may lie in their place.
 *
 * n^3 / 3 operations for each of L, N and N^T N, as LAPACK's dpotrf and dpotri take; the calls for
 * an element do not depend on who makes them. */
#include "inverse.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

typedef struct sweep {
  const block_columns *matrix;
  double *panel;  // rows of block k from its first column on, and a number: whether it is singular
  double *bounds; // (n) least squares of pivots
  int64_t k, first, width, rows; // of block k
  int ld;
} sweep;

static void begin_block(sweep *self, int64_t k) {
  const block_columns *matrix = self->matrix;
  self->k = k;
  self->first = matrix->begin[k];
  self->width = block_columns_count(matrix, k);
  self->rows = matrix->begin[matrix->n] - self->first;
  self->ld = esp_int(matrix->stride);
}

static void set_bounds(sweep *self, double least) {
  const block_columns *matrix = self->matrix;
  for (int64_t b = 0; b < matrix->n; b++) {
    const double *lower = block_columns_lower(matrix, b);
    for (int64_t c = matrix->begin[b]; lower && c < matrix->begin[b + 1]; c++)
      self->bounds[c] = least * lower[c + (c - matrix->begin[b]) * matrix->stride];
  }
}

/* L of block k: its triangle, and what lies below. */
static bool factor(const sweep *self) {
  double *at = block_columns_lower(self->matrix, self->k);
  if (!at) return true;
  at += self->first;
  const int w = esp_int(self->width), below = esp_int(self->rows - self->width);
  if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', w, at, self->ld) != 0) return false;
  for (int64_t c = 0; c < self->width; c++) {
    const double pivot = at[c + c * self->matrix->stride];
    if (pivot * pivot <= self->bounds[self->first + c]) return false;
  }
  cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, below, w, 1, at,
              self->ld, at + w, self->ld);
  return true;
}

/* A -= L L^T in a block to the right. */
static void take_square(const sweep *self, int64_t block, double *lower) {
  const int64_t first = self->matrix->begin[block], w = block_columns_count(self->matrix, block);
  const double *panel = self->panel + (first - self->first);
  const int k = esp_int(self->width), rows = esp_int(self->rows);
  const int64_t below = self->first + self->rows - first - w;
  lower += first;
  cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, esp_int(w), k, -1, panel, rows, 1, lower,
              self->ld);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, esp_int(below), esp_int(w), k, -1, panel + w,
              rows, panel, rows, 1, lower + w, self->ld);
}

/* Block k itself: (L_kk)^-1, and -L (L_kk)^-1 below. */
static void begin_columns(const sweep *self, double *lower) {
  const int w = esp_int(self->width), below = esp_int(self->rows - self->width);
  lower += self->first;
  cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, below, w, -1,
              self->panel, esp_int(self->rows), lower + w, self->ld);
  LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'L', 'N', w, lower, self->ld);
}

/* Row k of N in a block to the left, and what it takes from the rows below. */
static void go_on(const sweep *self, int64_t block, double *lower) {
  const int w = esp_int(block_columns_count(self->matrix, block)), k = esp_int(self->width);
  const int rows = esp_int(self->rows);
  lower += self->first;
  cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, k, w, 1,
              self->panel, rows, lower, self->ld);
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, rows - k, w, k, -1, self->panel + k, rows,
              lower, self->ld, 1, lower + k, self->ld);
}

static void invert_factor(const sweep *self, int64_t block) {
  double *lower = block_columns_lower(self->matrix, block);
  if (!lower) return;
  if (block > self->k)
    take_square(self, block, lower);
  else if (block == self->k)
    begin_columns(self, lower);
  else
    go_on(self, block, lower);
}

/* Row k of N^T N in a block. */
static void multiply(const sweep *self, int64_t block) {
  const int w = esp_int(block_columns_count(self->matrix, block)), k = esp_int(self->width);
  const int rows = esp_int(self->rows);
  double *lower = block_columns_lower(self->matrix, block), product[BLOCK_COLUMNS * BLOCK_COLUMNS];
  if (!lower) return;
  lower += self->first;
  if (block == self->k) {
    cblas_dsyrk(CblasColMajor, CblasLower, CblasTrans, k, rows, 1, self->panel, rows, 0, lower,
                self->ld);
    return;
  }
  cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, k, w, rows, 1, self->panel, rows, lower,
              self->ld, 0, product, k);
  for (int64_t c = 0; c < w; c++)
    for (int64_t i = 0; i < k; i++) lower[i + c * self->matrix->stride] = product[i + c * k];
}

/* L of block k to all, and whether there is one. */
static bool share_factor(const sweep *self) {
  double *last = self->panel + self->rows * self->width;
  const block_columns *matrix = self->matrix;
  *last = factor(self) ? 1 : 0;
  team_bcast(matrix->team, last, sizeof *last, (int)(self->k % team_size_local(matrix->team)));
  if (*last == 0) return false;
  block_columns_share(matrix, self->k, self->panel);
  return true;
}

static bool run(sweep *self) {
  const int64_t n = self->matrix->n;
  for (int64_t k = 0; k < n; k++) {
    begin_block(self, k);
    if (!share_factor(self)) return false;
#pragma omp parallel for schedule(dynamic) if (n > 1)
    for (int64_t b = 0; b < n; b++) invert_factor(self, b);
  }
  for (int64_t k = 0; k < n; k++) {
    begin_block(self, k);
    block_columns_share(self->matrix, k, self->panel);
#pragma omp parallel for schedule(dynamic) if (k > 0)
    for (int64_t b = 0; b <= k; b++) multiply(self, b);
  }
  return true;
}

bool esp_invert_blocks(const block_columns *matrix, double least) {
  const int64_t features = matrix->begin[matrix->n];
  sweep self = {.matrix = matrix,
                .panel = ESP_NEW(double, features *BLOCK_COLUMNS + 1),
                .bounds = ESP_NEW(double, features)};
  set_bounds(&self, least);
  const bool found = run(&self);
  esp_free(&self.panel);
  esp_free(&self.bounds);
  return found;
}

double esp_invert_sent_bytes(int64_t features) {
  const double n = (double)features;
  const double blocks = ceil(n / BLOCK_COLUMNS);
  return sizeof(double) * (n * (n + BLOCK_COLUMNS) + blocks);
}
