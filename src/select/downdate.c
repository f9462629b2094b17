#include "downdate.h"

#include "espalier/core/memory.h"

#include <cblas.h>

enum { COLUMNS = 128 }; // of a block

/* Where a part of it begins. */
typedef struct corner {
  double *at;
  int64_t stride;
} corner;

static int64_t count_blocks(const thin *self) {
  return (self->n + COLUMNS - 1) / COLUMNS;
}

static int64_t count_columns(const thin *self, int64_t begin) {
  return self->n - begin < COLUMNS ? self->n - begin : COLUMNS;
}

/* Rows of left times columns of right, transposed. */
static void add_product(const thin *self, const double *left, const double *right, int64_t rows,
                        int64_t cols, corner to) {
  if (rows > 0)
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, esp_int(rows), esp_int(cols),
                esp_int(self->k), self->factor, left, esp_int(self->ld), right, esp_int(self->ld),
                1, to.at, esp_int(to.stride));
}

static void add_diagonal(const thin *self, CBLAS_UPLO side, int64_t j, double *to, int64_t stride) {
  cblas_dsyrk(CblasColMajor, side, CblasNoTrans, esp_int(count_columns(self, j)), esp_int(self->k),
              self->factor, self->y + j, esp_int(self->ld), 1, to + j + j * stride,
              esp_int(stride));
}

static void add_lower_block(const thin *self, int64_t j, double *lower, int64_t stride) {
  const int64_t cols = count_columns(self, j), below = j + cols;
  add_diagonal(self, CblasLower, j, lower, stride);
  add_product(self, self->y + below, self->y + j, self->n - below, cols,
              (corner){lower + below + j * stride, stride});
}

static void add_upper_block(const thin *self, int64_t j, double *upper, int64_t stride) {
  add_diagonal(self, CblasUpper, j, upper, stride);
  add_product(self, self->y, self->y + j, j, count_columns(self, j),
              (corner){upper + j * stride, stride});
}

static void add_twin_block(const thin *self, int64_t j, double *upper, int64_t stride) {
  const int64_t cols = count_columns(self, j);
  cblas_dsyr2k(CblasColMajor, CblasUpper, CblasNoTrans, esp_int(cols), esp_int(self->k),
               self->factor, self->y + j, esp_int(self->ld), self->v + j, esp_int(self->ld), 1,
               upper + j + j * stride, esp_int(stride));
  add_product(self, self->y, self->v + j, j, cols, (corner){upper + j * stride, stride});
  add_product(self, self->v, self->y + j, j, cols, (corner){upper + j * stride, stride});
}

void esp_add_square_lower(const thin *self, double *lower, int64_t stride) {
  const int64_t blocks = count_blocks(self);
#pragma omp parallel for schedule(dynamic) if (blocks > 1)
  for (int64_t b = 0; b < blocks; b++) add_lower_block(self, b * COLUMNS, lower, stride);
}

void esp_add_square_upper(const thin *self, double *upper, int64_t stride) {
  const int64_t blocks = count_blocks(self);
#pragma omp parallel for schedule(dynamic) if (blocks > 1)
  for (int64_t b = 0; b < blocks; b++) add_upper_block(self, b * COLUMNS, upper, stride);
}

void esp_add_twins(const thin *self, double *lower, double *upper, int64_t stride) {
  const int64_t blocks = count_blocks(self);
#pragma omp parallel for schedule(dynamic) if (blocks > 1)
  for (int64_t b = 0; b < blocks; b++) {
    add_lower_block(self, b * COLUMNS, lower, stride);
    add_twin_block(self, b * COLUMNS, upper, stride);
  }
}
