#include "block.h"

#include <math.h>

/* Bordering: with T the inverse factor of the leading k rows and s = T a, the next row of T is
 * (-s^T T, 1) / sqrt(a_kk - s^T s). s is kept in the row to come. */
static double compute_pivot(int64_t width, int64_t k, const double *block, double *t) {
  double pivot = block[k + k * width];
  for (int64_t i = 0; i < k; i++) {
    double s = 0;
    for (int64_t j = 0; j <= i; j++) s += t[i + j * width] * block[j + k * width];
    t[k + i * width] = s;
    pivot -= s * s;
  }
  return pivot;
}

static void finish_row(int64_t width, int64_t k, double pivot, double *t) {
  const double scale = pivot > 0 ? 1 / sqrt(pivot) : 0;
  for (int64_t j = 0; j < k; j++) {
    double sum = 0;
    for (int64_t i = j; i < k; i++) sum += t[k + i * width] * t[i + j * width];
    t[k + j * width] = -sum * scale;
  }
  t[k + k * width] = scale;
}

int64_t esp_block_whiten(int64_t width, const double *block, const double *floor, double *t) {
  int64_t skipped = 0;
  for (int64_t i = 0; i < width * width; i++) t[i] = 0;
  for (int64_t k = 0; k < width; k++) {
    const double pivot = compute_pivot(width, k, block, t);
    const int skip = !(pivot > floor[k]);
    skipped += skip;
    finish_row(width, k, skip ? 0 : pivot, t);
  }
  return skipped;
}

void esp_block_subtract(int64_t width, double factor, const double *x, const double *y,
                        int64_t stride, double *block) {
  for (int64_t c = 0; c < width; c++, x += stride, y += stride)
    for (int64_t j = 0; j < width; j++)
      for (int64_t i = 0; i < width; i++)
        block[i + j * width] -= factor * (x[i] * y[j] + y[i] * x[j]);
}
