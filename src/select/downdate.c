#include "downdate.h"

#include "espalier/core/memory.h"

#include <cblas.h>

/* A block of columns from j on. */
typedef struct part {
  const thin *from;
  double *at; // row 0
  int64_t j, columns, stride;
} part;

static part find_part(const thin *self, const block_columns *to, int64_t block, double *at) {
  return (part){self, at, to->begin[block], block_columns_count(to, block), to->stride};
}

/* Rows [first, first + rows) of left times the block's of right, transposed. */
static void add_product(const part *self, const double *left, const double *right, int64_t first,
                        int64_t rows) {
  const thin *from = self->from;
  if (rows > 0)
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, esp_int(rows), esp_int(self->columns),
                esp_int(from->k), from->factor, left + first, esp_int(from->ld), right + self->j,
                esp_int(from->ld), 1, self->at + first, esp_int(self->stride));
}

static void add_diagonal(const part *self, CBLAS_UPLO side) {
  const thin *from = self->from;
  cblas_dsyrk(CblasColMajor, side, CblasNoTrans, esp_int(self->columns), esp_int(from->k),
              from->factor, from->y + self->j, esp_int(from->ld), 1, self->at + self->j,
              esp_int(self->stride));
}

static void add_lower_block(const thin *self, const block_columns *to, int64_t block) {
  const part lower = find_part(self, to, block, block_columns_lower(to, block));
  const int64_t below = lower.j + lower.columns;
  add_diagonal(&lower, CblasLower);
  add_product(&lower, self->y, self->y, below, self->n - below);
}

static void add_upper_block(const thin *self, const block_columns *to, int64_t block) {
  const part upper = find_part(self, to, block, block_columns_upper(to, block));
  add_diagonal(&upper, CblasUpper);
  add_product(&upper, self->y, self->y, 0, upper.j);
}

static void add_twin_block(const thin *self, const block_columns *to, int64_t block) {
  const part upper = find_part(self, to, block, block_columns_upper(to, block));
  cblas_dsyr2k(CblasColMajor, CblasUpper, CblasNoTrans, esp_int(upper.columns), esp_int(self->k),
               self->factor, self->y + upper.j, esp_int(self->ld), self->v + upper.j,
               esp_int(self->ld), 1, upper.at + upper.j, esp_int(upper.stride));
  add_product(&upper, self->y, self->v, 0, upper.j);
  add_product(&upper, self->v, self->y, 0, upper.j);
}

static bool is_empty(const block_columns *to, int64_t block) {
  return !block_columns_upper(to, block) || block_columns_count(to, block) == 0;
}

void esp_add_square_lower(const thin *self, const block_columns *to) {
#pragma omp parallel for schedule(dynamic) if (to->n > 1)
  for (int64_t b = 0; b < to->n; b++)
    if (!is_empty(to, b)) add_lower_block(self, to, b);
}

void esp_add_square_upper(const thin *self, const block_columns *to) {
#pragma omp parallel for schedule(dynamic) if (to->n > 1)
  for (int64_t b = 0; b < to->n; b++)
    if (!is_empty(to, b)) add_upper_block(self, to, b);
}

void esp_add_twins(const thin *self, const block_columns *to) {
#pragma omp parallel for schedule(dynamic) if (to->n > 1)
  for (int64_t b = 0; b < to->n; b++) {
    if (is_empty(to, b)) continue;
    add_lower_block(self, to, b);
    add_twin_block(self, to, b);
  }
}
