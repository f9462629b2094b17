/* A kernel of gemm_kernel.h, for the file of an instruction set, which defines before:
 *   vec, VECTOR (floats in one), ROWS and VECTORS (of C in registers),
 *   AHEAD (so many products of a strip, and the next rows of A, are prefetched; 0: no),
 *   load, store, set1, fma(x, y, z) = x y + z, mul;
 * and behind it DEFINE_ROWS(1) to DEFINE_ROWS(ROWS). */
#include "gemm_kernel.h"

#include <immintrin.h>
#include <string.h>

enum { COLS = VECTORS * VECTOR, SQUARE = 8, LINE = 16 };

/* Prefetches are written out: GCC 12 takes a function that does nothing else for one without
 * effect. */
static inline __attribute__((always_inline)) void multiply(const gemm_step *step, const int rows) {
  vec sum[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; v++) sum[r][v] = set1(0.0f);
  const float *a = step->a, *b = step->b;
  const int64_t parts = AHEAD > 0 ? step->next_rows : 1;
  for (int64_t part = 0, l = 0; part < parts; part++) {
    const int64_t end = (part + 1) * step->k / parts;
    const float *next = step->next + part * step->a_row;
    for (; l < end; l++, a += step->a_step, b += COLS, next += parts) {
      vec y[VECTORS];
#pragma GCC unroll 2
      for (int v = 0; v < VECTORS; v++) y[v] = load(b + v * VECTOR);
#pragma GCC unroll 2
      for (int j = 0; AHEAD > 0 && j < COLS; j += LINE)
        _mm_prefetch((const char *)(b + AHEAD * COLS + j), _MM_HINT_T0);
      if (AHEAD > 0) _mm_prefetch((const char *)next, _MM_HINT_T1);
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++) {
        const vec x = set1(a[r * step->a_row]);
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++) sum[r][v] = fma(x, y[v], sum[r][v]);
      }
    }
  }
  const vec alpha = set1(step->alpha), beta = set1(step->beta);
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; v++) {
      float *c = step->c + r * step->ldc + v * VECTOR;
      const vec product = mul(alpha, sum[r][v]);
      store(c, step->beta == 0.0f ? product : fma(beta, load(c), product));
    }
}

static inline __attribute__((always_inline)) void
copy_rows(const float *a, int64_t stride, int64_t k, float *packed, const int rows) {
  for (int64_t l = 0; l < k; l++)
    memcpy(packed + l * rows, a + l * stride, (size_t)rows * sizeof *packed);
}

#define DEFINE_ROWS(rows)                                                             \
  static void multiply_##rows(const gemm_step *step) {                                \
    multiply(step, rows);                                                             \
  }                                                                                   \
  static void pack_##rows(const float *a, int64_t stride, int64_t k, float *packed) { \
    copy_rows(a, stride, k, packed, rows);                                            \
  }

/* 8 x 8 floats: row i of from becomes column i of to. */
static inline void transpose_square(const float *from, int64_t from_stride, float *to,
                                    int64_t to_stride) {
  __m256 x[SQUARE], y[SQUARE];
#pragma GCC unroll 8
  for (int i = 0; i < SQUARE; i++) x[i] = _mm256_loadu_ps(from + i * from_stride);
#pragma GCC unroll 4
  for (int i = 0; i < SQUARE; i += 2) {
    y[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
    y[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < SQUARE; i += 4) {
    x[i] = _mm256_shuffle_ps(y[i], y[i + 2], 0x44);
    x[i + 1] = _mm256_shuffle_ps(y[i], y[i + 2], 0xee);
    x[i + 2] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0x44);
    x[i + 3] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < SQUARE / 2; i++) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(x[i], x[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(x[i], x[i + 4], 0x31));
  }
}

/* Products [begin, k) of a strip, where squares do not fit. */
static void pack_transposed_rest(const gemm_operand *b, int64_t begin, int64_t k, int64_t n,
                                 float *strip) {
  for (int64_t l = begin; l < k; l++)
    for (int64_t j = 0; j < COLS; j++)
      strip[l * COLS + j] = j < n ? b->at[j * b->stride + l] : 0.0f;
}

static void pack_transposed(const gemm_operand *b, int64_t k, int64_t n, float *strip) {
  const int64_t whole = n == COLS ? k / SQUARE * SQUARE : 0;
  for (int64_t l = 0; l < whole; l += SQUARE)
    for (int64_t j = 0; j < COLS; j += SQUARE)
      transpose_square(b->at + j * b->stride + l, b->stride, strip + l * COLS + j, COLS);
  pack_transposed_rest(b, whole, k, n, strip);
}

static void pack_rows(const gemm_operand *b, int64_t k, int64_t n, float *strip) {
  for (int64_t l = 0; l < k; l++) {
    float *row = strip + l * COLS;
    if (n == COLS) {
      memcpy(row, b->at + l * b->stride, COLS * sizeof *row);
    } else {
      memset(row, 0, COLS * sizeof *row);
      memcpy(row, b->at + l * b->stride, (size_t)n * sizeof *row);
    }
  }
}

/* Strips of a B that is not transposed: a few products of all at a time, so that its rows are read
 * along. */
static void pack_rows_along(const gemm_operand *b, int64_t k, int64_t n, float *strips) {
  for (int64_t l = 0; l < k; l += ESP_GEMM_AT_ONCE)
    for (int64_t j = 0; j < n; j += COLS) {
      const gemm_operand part = {b->at + l * b->stride + j, b->stride, false};
      pack_rows(&part, k - l < ESP_GEMM_AT_ONCE ? k - l : ESP_GEMM_AT_ONCE,
                n - j < COLS ? n - j : COLS, strips + j * k + l * COLS);
    }
}

static void pack_b(const gemm_operand *b, int64_t k, int64_t n, float *strips) {
  if (!b->transposed) {
    pack_rows_along(b, k, n, strips);
    return;
  }
  for (int64_t j = 0; j < n; j += COLS) {
    const gemm_operand strip = {b->at + j * b->stride, b->stride, true};
    pack_transposed(&strip, k, n - j < COLS ? n - j : COLS, strips + j * k);
  }
}
