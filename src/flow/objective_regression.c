/* What models of numbers are judged by: the squared error of every output. As a likelihood, outputs
 * are means of normal distributions of variance 1, in the labels' own unit. */
#include "flow_internal.h"

#include "espalier/core/rng.h"

#include <math.h>

/* Summed squared error of a row; dlogits, if not NULL, gets its gradient, and may be logits. */
static double measure_row(const esp_outputs *self, int64_t row) {
  const int64_t n = self->model->n_outputs;
  double loss = 0.0;
  for (int64_t j = 0; j < n; j++) {
    const double error = (double)self->logits[row * n + j] - targets_get(self->batch, row, j);
    loss += error * error;
    if (self->dlogits) self->dlogits[row * n + j] = (float)(2.0 * error);
  }
  return loss;
}

static void measure(const esp_outputs *self, esp_tally *tally) {
  const int64_t rows = self->batch->count;
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) loss += measure_row(self, r);
  if (!tally) return;
  const double unit = tally->unit > 0.0 ? tally->unit : 1.0;
  tally_add_loss(tally, loss / unit, rows * self->model->n_outputs);
}

static void differentiate_drawn(const esp_outputs *self, const esp_draw *draw) {
  const int64_t n = self->model->n_outputs;
  for (int64_t i = 0; i < self->batch->count * n; i++)
    self->dlogits[i] =
        (float)esp_rng_normal(draw->seed, draw->stream, (uint64_t)(draw->first * n + i));
}

/* Of one output over all samples. */
typedef struct spread {
  double mean, variance;
} spread;

static spread measure_spread(const esp_dataset *data, int64_t column, int64_t columns) {
  spread self = {0};
  for (int64_t i = 0; i < data->count; i++)
    self.mean +=
        (data->targets ? (double)data->targets[i * columns + column] : (double)data->labels[i]) /
        (double)data->count;
  for (int64_t i = 0; i < data->count; i++) {
    const double value =
        data->targets ? (double)data->targets[i * columns + column] : (double)data->labels[i];
    self.variance += (value - self.mean) * (value - self.mean) / (double)data->count;
  }
  return self;
}

double esp_targets_compute_variance(const esp_dataset *data) {
  const int64_t columns = data->targets ? data->n_targets : 1;
  double sum = 0.0;
  if (!data->targets && !data->labels) return 0.0;
  for (int64_t j = 0; j < columns; j++) sum += measure_spread(data, j, columns).variance;
  return sum / (double)columns;
}

double targets_find_unit(const esp_dataset *data) {
  const double variance = esp_targets_compute_variance(data);
  const double first = data->targets  ? (double)data->targets[0]
                       : data->labels ? (double)data->labels[0]
                                      : 0.0;
  int exponent;
  if (variance <= 0.0 && first == 0.0) return 1.0;
  frexp(variance > 0.0 ? variance : first * first, &exponent);
  return ldexp(1.0, exponent);
}

const esp_objective objective_regression = {
    .name = "regression",
    .summary = "squared error of every number",
    .task = ESP_TASK_REGRESS,
    .check = esp_model_check_targets,
    .measure = measure,
    .find_unit = targets_find_unit,
    .differentiate_drawn = differentiate_drawn,
};
