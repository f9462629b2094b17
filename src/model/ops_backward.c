/* Gradients of the operations. Sums over the features of a row are in double; sums over rows are by
 * one thread in their order. */
#include "ops.h"

#include <math.h>

/* The statistics of a row and the two means that its gradient needs, of w dy and of w dy xhat. */
typedef struct norm_row {
  double mean, factor, mean_d, mean_dx;
} norm_row;

static norm_row measure(const op_norm_backward *job, const float *x, const float *dy) {
  norm_row self = {0};
  double squares = 0.0;
  const int64_t n = job->n;
  const double part = 1.0 / (double)n;
  for (int64_t i = 0; i < n && job->is_centred; i++) self.mean += x[i] * part;
  for (int64_t i = 0; i < n; i++) squares += (x[i] - self.mean) * (x[i] - self.mean);
  self.factor = 1.0 / sqrt(squares * part + job->epsilon);
  for (int64_t i = 0; i < n; i++) {
    const double d = (double)job->weight[i] * dy[i] * part;
    if (job->is_centred) self.mean_d += d;
    self.mean_dx += d * (x[i] - self.mean) * self.factor;
  }
  return self;
}

static void add_weight_gradients(const op_norm_backward *job, const norm_row *row, const float *x,
                                 const float *dy) {
  const int64_t n = job->n;
  if (job->dweight)
    for (int64_t i = 0; i < n; i++)
      job->dweight[i] += (float)(dy[i] * (x[i] - row->mean) * row->factor);
  if (job->dbias)
    for (int64_t i = 0; i < n; i++) job->dbias[i] += dy[i];
}

/* With xhat = (x - mean) f and d = w dy: dx = f (d - E[d] - xhat E[d xhat]), without E[d] where the
 * mean is not taken out. */
static void compute_row(const op_norm_backward *job, const norm_row *row, int64_t r) {
  const float *x = job->x + r * job->n, *dy = job->dy + r * job->n;
  float *dx = job->dx + r * job->n;
  for (int64_t i = 0; i < job->n; i++) {
    const double d = (double)job->weight[i] * dy[i], xhat = (x[i] - row->mean) * row->factor;
    dx[i] = (float)(row->factor * (d - row->mean_d - xhat * row->mean_dx));
  }
}

void op_norm_compute_backward(const op_norm_backward *job) {
  const esp_workspace_mark mark = esp_workspace_set_mark(job->workspace);
  norm_row *rows = ESP_TAKE(job->workspace, norm_row, job->rows);
#pragma omp parallel for
  for (int64_t r = 0; r < job->rows; r++)
    rows[r] = measure(job, job->x + r * job->n, job->dy + r * job->n);
  for (int64_t r = 0; r < job->rows; r++)
    add_weight_gradients(job, &rows[r], job->x + r * job->n, job->dy + r * job->n);
#pragma omp parallel for
  for (int64_t r = 0; r < job->rows; r++) compute_row(job, &rows[r], r);
  esp_workspace_release(job->workspace, mark);
}

void op_scatter(const float *dy, int64_t rows, int64_t n, const int32_t *indices, float *table) {
  for (int64_t r = 0; r < rows && table; r++) {
    float *to = table + indices[r] * n;
    for (int64_t i = 0; i < n; i++) to[i] += dy[r * n + i];
  }
}

void op_gate_backward(const esp_activation *activation, int64_t count, const float *dx, float *gate,
                      float *up, float *x) {
  enum { BLOCK = 1024 };
#pragma omp parallel for
  for (int64_t begin = 0; begin < count; begin += BLOCK) {
    const int64_t n = count - begin < BLOCK ? count - begin : BLOCK;
    float value[BLOCK], dvalue[BLOCK];
    activation->apply(n, gate + begin, value);
    for (int64_t i = 0; i < n && x; i++) x[begin + i] = value[i] * up[begin + i];
    for (int64_t i = 0; i < n; i++) dvalue[i] = dx[begin + i] * up[begin + i];
    activation->derive(n, gate + begin, dvalue, gate + begin);
    for (int64_t i = 0; i < n; i++) up[begin + i] = dx[begin + i] * value[i];
  }
}

void op_activate_backward(const esp_activation *activation, int64_t count, const float *z,
                          const float *dy, float *dz) {
  enum { BLOCK = 1024 };
#pragma omp parallel for
  for (int64_t begin = 0; begin < count; begin += BLOCK)
    activation->derive(count - begin < BLOCK ? count - begin : BLOCK, z + begin, dy + begin,
                       dz + begin);
}
