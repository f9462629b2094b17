#include "espalier/sweep/sweep.h"

#include "espalier/core/memory.h"
#include "espalier/information/information.h"

#include <math.h>

typedef struct pair_context {
  const esp_planes *x, *y;
  int64_t *x_marginals, *y_marginals; // (U, B-1)
  int64_t samples;
  esp_entropy_table table;
  esp_cell_sum *x_sums, *y_sums; // (U), of information
  float *information;            // (Ux, Uy)
  double *covariance;            // (U, U)
} pair_context;

static esp_pair_counts get_pair(const pair_context *self, const esp_tile *tile,
                                const int32_t *counts, int64_t i, int64_t j) {
  const int64_t bx = self->x->bins - 1, by = self->y->bins - 1;
  return (esp_pair_counts){.joint = counts + (i * tile->ny + j) * bx * by,
                           .x = self->x_marginals + (tile->x_begin + i) * bx,
                           .y = self->y_marginals + (tile->y_begin + j) * by,
                           .x_bins = self->x->bins,
                           .y_bins = self->y->bins};
}

static void add_information(const pair_context *self, const esp_tile *tile, const int32_t *counts,
                            int64_t i) {
  const bool is_symmetric = self->x == self->y;
  const int64_t n = self->y->units, row = tile->x_begin + i;
  for (int64_t j = 0; j < tile->ny; j++) {
    const int64_t column = tile->y_begin + j;
    if (is_symmetric && column < row) continue;
    esp_pair_counts pair = get_pair(self, tile, counts, i, j);
    pair.x_sum = self->x_sums + row;
    pair.y_sum = self->y_sums + column;
    const float value = (float)esp_compute_information(&self->table, &pair, NULL);
    self->information[row * n + column] = value;
    if (is_symmetric) self->information[column * n + row] = value;
  }
}

static void visit_information(void *context, const esp_tile *tile, const int32_t *counts) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < tile->nx; i++) add_information(context, tile, counts, i);
}

static void visit_covariance(void *context, const esp_tile *tile, const int32_t *counts) {
  const pair_context *self = context;
  const int64_t n = self->x->units;
  for (int64_t i = 0; i < tile->nx; i++)
    for (int64_t j = 0; j < tile->ny; j++) {
      const esp_pair_counts pair = get_pair(self, tile, counts, i, j);
      const int64_t row = tile->x_begin + i, column = tile->y_begin + j;
      const double value = esp_compute_code_covariance(&pair, self->samples);
      self->covariance[row * n + column] = value;
      self->covariance[column * n + row] = value;
    }
}

static void init_context(const esp_comm *comm, pair_context *self) {
  self->x_marginals = ESP_NEW(int64_t, self->x->units * (self->x->bins - 1));
  self->y_marginals = ESP_NEW(int64_t, self->y->units * (self->y->bins - 1));
  esp_sweep_marginals(comm, self->x, self->x_marginals);
  esp_sweep_marginals(comm, self->y, self->y_marginals);
}

static void clear_context(pair_context *self) {
  esp_free(&self->x_marginals);
  esp_free(&self->y_marginals);
}

static esp_cell_sum *sum_units(const esp_entropy_table *table, const esp_planes *planes,
                               const int64_t *marginals) {
  esp_cell_sum *sums = ESP_NEW(esp_cell_sum, planes->units);
  for (int64_t u = 0; u < planes->units; u++)
    sums[u] = esp_sum_codes(table, marginals + u * (planes->bins - 1), planes->bins);
  return sums;
}

void esp_sweep_information(const esp_comm *comm, const esp_planes *x, const esp_planes *y,
                           int64_t samples, esp_reduce reduce, float *information) {
  pair_context context = {.x = x, .y = y, .samples = samples, .information = information};
  init_context(comm, &context);
  esp_entropy_table_init(&context.table, samples);
  context.x_sums = sum_units(&context.table, x, context.x_marginals);
  context.y_sums = sum_units(&context.table, y, context.y_marginals);
  for (int64_t i = 0; i < x->units * y->units; i++) information[i] = 0.0f;
  esp_sweep_pairs(comm, &(esp_sweep){.x = x,
                                     .y = y,
                                     .is_symmetric = x == y,
                                     .visit = visit_information,
                                     .context = &context,
                                     .reduce = reduce});
  esp_allreduce_gather_f32(comm, information, x->units * y->units);
  esp_free(&context.y_sums);
  esp_free(&context.x_sums);
  esp_entropy_table_clear(&context.table);
  clear_context(&context);
}

static void normalise(double *matrix, int64_t n) {
  double *scale = ESP_NEW(double, n);
  for (int64_t i = 0; i < n; i++)
    scale[i] = matrix[i * n + i] > 0.0 ? 1.0 / sqrt(matrix[i * n + i]) : 0.0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      matrix[i * n + j] =
          i == j ? (scale[i] > 0.0 ? 1.0 : 0.0) : matrix[i * n + j] * scale[i] * scale[j];
  esp_free(&scale);
}

void esp_sweep_correlation(const esp_comm *comm, const esp_planes *x, int64_t samples,
                           esp_reduce reduce, int owner, double *correlation) {
  pair_context context = {.x = x, .y = x, .samples = samples, .covariance = correlation};
  init_context(comm, &context);
  for (int64_t i = 0; correlation && i < x->units * x->units; i++) correlation[i] = 0.0;
  esp_sweep_pairs(comm, &(esp_sweep){.x = x,
                                     .y = x,
                                     .is_symmetric = true,
                                     .visit = visit_covariance,
                                     .context = &context,
                                     .visitor = owner + 1,
                                     .reduce = reduce});
  if (correlation) normalise(correlation, x->units);
  clear_context(&context);
}
