#include "surgery_internal.h"

#include "espalier/core/memory.h"

#include <math.h>

void regression_init(regression *self, int64_t n_in, int64_t n_out, const double *rms) {
  const double *x_rms = rms, *t_rms = rms + n_in, *constant = rms + n_in + n_out;
  double *t_squares = ESP_NEW(double, n_out);
  for (int64_t i = 0; i < n_out; i++) t_squares[i] = t_rms[i] * t_rms[i];
  *self = (regression){.n_in = n_in, .n_out = n_out};
  esp_exact_init(&self->xx, n_in, n_in, x_rms, x_rms);
  esp_exact_init(&self->xt, n_in, n_out, x_rms, t_rms);
  esp_exact_init(&self->x, n_in, 1, x_rms, constant);
  esp_exact_init(&self->t, n_out, 1, t_rms, constant);
  esp_exact_init(&self->one, 1, 1, constant, constant);
  esp_exact_init(&self->tt, n_out, 1, t_squares, NULL);
  esp_free(&t_squares);
}

void regression_clear(regression *self) {
  esp_exact_clear(&self->xx);
  esp_exact_clear(&self->xt);
  esp_exact_clear(&self->x);
  esp_exact_clear(&self->t);
  esp_exact_clear(&self->tt);
  esp_exact_clear(&self->one);
}

double regression_weight(const regression *self) {
  return esp_exact_get(&self->one, 0, 0);
}

static esp_status add_squares(regression *self, int64_t rows, const float *t) {
  float *squares = ESP_NEW(float, rows * self->n_out);
  for (int64_t i = 0; i < rows * self->n_out; i++) squares[i] = t[i] * t[i];
  const esp_status status = esp_exact_add_local(&self->tt, rows, squares, self->n_out, NULL, 0);
  esp_free(&squares);
  return status;
}

esp_status regression_add_local(regression *self, int64_t rows, const float *x, const float *t,
                                const float *constant) {
  self->samples += rows;
  ESP_TRY(esp_exact_add_local(&self->xx, rows, x, self->n_in, x, self->n_in));
  ESP_TRY(esp_exact_add_local(&self->xt, rows, x, self->n_in, t, self->n_out));
  ESP_TRY(esp_exact_add_local(&self->x, rows, x, self->n_in, constant, 1));
  ESP_TRY(esp_exact_add_local(&self->t, rows, t, self->n_out, constant, 1));
  ESP_TRY(esp_exact_add_local(&self->one, rows, constant, 1, constant, 1));
  return add_squares(self, rows, t);
}

esp_status regression_reduce(const esp_comm *comm, regression *self) {
  esp_allreduce_sum_i64(comm, &self->samples, 1);
  ESP_TRY(esp_exact_reduce(comm, &self->xx));
  ESP_TRY(esp_exact_reduce(comm, &self->xt));
  ESP_TRY(esp_exact_reduce(comm, &self->x));
  ESP_TRY(esp_exact_reduce(comm, &self->t));
  ESP_TRY(esp_exact_reduce(comm, &self->one));
  return esp_exact_reduce(comm, &self->tt);
}

void regression_merge(regression *self, const regression *other) {
  self->samples += other->samples;
  esp_exact_merge(&self->xx, &other->xx);
  esp_exact_merge(&self->xt, &other->xt);
  esp_exact_merge(&self->x, &other->x);
  esp_exact_merge(&self->t, &other->t);
  esp_exact_merge(&self->tt, &other->tt);
  esp_exact_merge(&self->one, &other->one);
}

void regression_bias(const regression *self, const float *weights, float *bias) {
  const double n = regression_weight(self);
  for (int64_t i = 0; i < self->n_out; i++) {
    double sum = esp_exact_get(&self->t, i, 0);
    for (int64_t j = 0; j < self->n_in; j++)
      sum -= weights[i * self->n_in + j] * esp_exact_get(&self->x, j, 0);
    bias[i] = (float)(sum / n);
  }
}
