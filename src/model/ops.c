#include "ops.h"

#include "espalier/core/clones.h"

#include <math.h>
#include <string.h>

/* Four sums side by side: additions wait for each other. */
enum { LANES = 4 };

ESP_CLONES static double sum_squares(const float *x, int64_t n, double centre) {
  double sums[LANES] = {0.0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) sums[j] += (x[i + j] - centre) * (x[i + j] - centre);
  for (; i < n; i++) sums[0] += (x[i] - centre) * (x[i] - centre);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

ESP_CLONES static double compute_mean(const float *x, int64_t n) {
  double sums[LANES] = {0.0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) sums[j] += x[i + j];
  for (; i < n; i++) sums[0] += x[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) / (double)n;
}

void op_rms_norm(int64_t rows, int64_t n, const float *x, const float *weight, double epsilon,
                 float *y) {
#pragma omp parallel for
  for (int64_t r = 0; r < rows; r++) {
    const float *from = x + r * n;
    float *to = y + r * n;
    const float factor = (float)(1.0 / sqrt(sum_squares(from, n, 0.0) / (double)n + epsilon));
    for (int64_t i = 0; i < n; i++) to[i] = from[i] * factor * weight[i];
  }
}

void op_layer_norm(int64_t rows, int64_t n, const float *x, const float *const weight_bias[2],
                   double epsilon, float *y) {
  const float *weight = weight_bias[0], *bias = weight_bias[1];
#pragma omp parallel for
  for (int64_t r = 0; r < rows; r++) {
    const float *from = x + r * n;
    float *to = y + r * n;
    const double mean = compute_mean(from, n);
    const double factor = 1.0 / sqrt(sum_squares(from, n, mean) / (double)n + epsilon);
    for (int64_t i = 0; i < n; i++)
      to[i] = (float)((from[i] - mean) * factor) * weight[i] + bias[i];
  }
}

ESP_CLONES static void add(const float *restrict bias, int64_t n, float *restrict y) {
  for (int64_t j = 0; j < n; j++) y[j] += bias[j];
}

ESP_CLONES static void multiply(const float *restrict factor, int64_t n, float *restrict y) {
  for (int64_t j = 0; j < n; j++) y[j] *= factor[j];
}

void op_finish(const void *finishing, const esp_gemm_tile *tile) {
  const op_finishing *self = finishing;
  for (int64_t r = tile->row; r < tile->row + tile->rows; r++) {
    const int64_t begin = r * self->n + tile->col;
    float *y = self->y + begin;
    if (self->bias) add(self->bias + tile->col, tile->cols, y);
    if (self->activation) self->activation->apply(tile->cols, y, y);
    if (self->factor) multiply(self->factor + begin, tile->cols, y);
  }
}

/* sign 1 turns, -1 turns back. */
static void rotate_head(int64_t half, const float *cosine, const float *sine, float sign,
                        float *x) {
  for (int64_t i = 0; i < half; i++) {
    const float a = x[i], b = x[half + i], s = sign * sine[i];
    x[i] = a * cosine[i] - b * s;
    x[half + i] = b * cosine[i] + a * s;
  }
}

typedef struct rotation {
  int64_t rows, length, heads, head_size;
  const float *cosine, *sine; // (length, head_size / 2)
  float sign;
} rotation;

static void rotate(const rotation *job, float *x) {
  const int64_t size = job->head_size, half = size / 2;
#pragma omp parallel for
  for (int64_t r = 0; r < job->rows; r++) {
    const int64_t at = r % job->length * half;
    for (int64_t h = 0; h < job->heads; h++)
      rotate_head(half, job->cosine + at, job->sine + at, job->sign,
                  x + (r * job->heads + h) * size);
  }
}

void op_rotate(int64_t rows, int64_t length, int64_t heads, int64_t head_size,
               const float *cos_sin[2], float *x) {
  rotate(&(rotation){rows, length, heads, head_size, cos_sin[0], cos_sin[1], 1.0f}, x);
}

void op_rotate_back(int64_t rows, int64_t length, int64_t heads, int64_t head_size,
                    const float *cos_sin[2], float *dx) {
  rotate(&(rotation){rows, length, heads, head_size, cos_sin[0], cos_sin[1], -1.0f}, dx);
}
