/* GraSP [Wang et al. 2020]: w (H g), H g by differences of the gradient along itself; the
 * largest stay, so that the gradient's norm does. By units |dF/dm| with F = |g|^2 / 2, the flow of
 * the gradient [Rachwan et al. 2022, CroP]: the modulus of the sum of w (H g) over what reads the
 * unit. */
#include "policies.h"
#include "start.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

/* What differences are taken of. */
typedef struct grasp_line {
  float *values, *direction, *products; // (n_own) weights, g, and H g
  double step;                          // along g, a power of two
} grasp_line;

static const double first = 0x1p-12; // of the weights' norm, a first step
static const double wanted = 0x1p-5; // of the gradient's norm, its change in a step
static const double temperature = 200.0;

static bool is_pruned(const training *self, const parts_run *run) {
  return self->pruning.matrix_of[run->weight] >= 0;
}

/* Only the matrices that are pruned move. */
static void take_direction(const training *self, float *direction) {
  pruning_hold_gradient(&self->pruning, self->gradients.mean);
  memcpy(direction, self->gradients.mean, (size_t)self->parts.n_own * sizeof *direction);
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    if (!is_pruned(self, run)) memset(direction + run->own, 0, (size_t)run->n * sizeof *direction);
  }
}

/* The sum of squares over all that is pruned, the same at any rank count. */
static double sum_squares(const training *self, const float *values) {
  const train_units all = {.parts = &self->parts, .n = 1};
  int32_t *map = ESP_NEW(int32_t, self->parts.n_own);
  double sum;
  memset(map, 0xff, (size_t)self->parts.n_own * sizeof *map); // -1
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    if (is_pruned(self, run)) memset(map + run->own, 0, (size_t)run->n * sizeof *map);
  }
  units_sum_products(self->comm, &all, map, values, values, &sum);
  esp_free(&map);
  return sum;
}

/* Weights at so many steps along the line. */
static void move(training *self, const grasp_line *line, double steps) {
  const double by = steps * line->step;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    float *value = parts_find_values(&self->parts, run);
    for (int64_t i = run->own; i < run->own + run->n; i++)
      *value++ = (float)((double)line->values[i] + by * (double)line->direction[i]);
  }
  parts_gather(self->comm, &self->parts, NULL);
}

static double compute_norm(const training *self, const float *values) {
  return sqrt(sum_squares(self, values));
}

/* The largest power of two that is not above. */
static double floor_to_power(double value) {
  return ldexp(1.0, ilogb(value));
}

static esp_status check_direction(double gradient, double weights) {
  if (gradient > 0.0 && weights > 0.0) return ESP_OK;
  return esp_fail(ESP_NUMERIC, "--policy grasp: expected a gradient that is not zero, found none; "
                               "give more --score-samples");
}

/* A first short step says how far the gradient takes to change by so much that its difference has
 * digits, and little enough to be a derivative. */
static esp_status choose_step(training *self, grasp_line *line) {
  const double gradient = compute_norm(self, line->direction);
  const double weights = compute_norm(self, line->values);
  ESP_TRY(check_direction(gradient, weights));
  line->step = floor_to_power(first * weights / gradient);
  move(self, line, 1.0);
  ESP_TRY(policy_measure_gradient(self));
  for (int64_t i = 0; i < self->parts.n_own; i++)
    line->products[i] = self->gradients.mean[i] - line->direction[i];
  const double change = compute_norm(self, line->products) / gradient;
  if (change > 0.0) line->step = floor_to_power(line->step * fmin(wanted / change, 1.0 / first));
  memset(line->products, 0, (size_t)self->parts.n_own * sizeof *line->products);
  return ESP_OK;
}

/* The gradient so many steps along, `factor` times, to the products. */
static esp_status add_gradient(training *self, const grasp_line *line, double steps,
                               double factor) {
  move(self, line, steps);
  ESP_TRY(policy_measure_gradient(self));
  for (int64_t i = 0; i < self->parts.n_own; i++)
    line->products[i] =
        (float)((double)line->products[i] + factor / line->step * self->gradients.mean[i]);
  return ESP_OK;
}

/* Two central differences, whose errors of second order cancel. */
static esp_status add_gradients(training *self, const grasp_line *line) {
  static const double steps[4] = {1.0, -1.0, 2.0, -2.0};
  static const double factors[4] = {8.0 / 12.0, -8.0 / 12.0, -1.0 / 12.0, 1.0 / 12.0};
  for (int i = 0; i < 4; i++) ESP_TRY(add_gradient(self, line, steps[i], factors[i]));
  return ESP_OK;
}

/* Softmaxes near uniform ones, as in the reference code: the loss is T L(z / T) [Wang et al.]. */
static double choose_cooling(const training *self) {
  const esp_task task = self->parts.model->task;
  const bool has_softmax =
      task == ESP_TASK_CLASSIFY || task == ESP_TASK_LANGUAGE || task == ESP_TASK_MASKED;
  return has_softmax && !self->request->teacher ? temperature : 0.0;
}

static esp_status multiply(training *self, grasp_line *line) {
  ESP_TRY(policy_measure_gradient(self));
  take_direction(self, line->direction);
  parts_copy_own_local(&self->parts, line->values);
  esp_status status = choose_step(self, line);
  if (status == ESP_OK) status = add_gradients(self, line);
  move(self, line, 0.0);
  return status;
}

/* Set products (n_own) to H g. */
static esp_status compute_products(training *self, float *products) {
  grasp_line line = {.values = ESP_NEW(float, self->parts.n_own),
                     .direction = ESP_NEW(float, self->parts.n_own),
                     .products = products};
  self->cooling = choose_cooling(self);
  const esp_status status = multiply(self, &line);
  self->cooling = 0.0;
  esp_free(&line.values);
  esp_free(&line.direction);
  return status;
}

static esp_status score_weights(training *self, float *scores) {
  ESP_TRY(compute_products(self, scores));
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const float *value = parts_find_values(&self->parts, run);
    for (int64_t i = 0; i < run->n; i++) scores[run->own + i] *= value[i];
  }
  return ESP_OK;
}

static esp_status score_units(training *self, double *scores) {
  float *products = ESP_NEW(float, self->parts.n_own);
  const esp_status status = compute_products(self, products);
  if (status == ESP_OK) start_sum_gates(self, products, scores);
  esp_free(&products);
  return status;
}

const start_scores start_grasp = {score_weights, score_units};

static esp_status begin(training *self) {
  return start_prune(self, &start_grasp);
}

static int64_t count_passes(const training *self) {
  return 6 * start_count_passes(self);
}

const policy policy_grasp = {.name = "grasp",
                             .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                             .masked = POLICY_ZERO,
                             .prunes_once = true,
                             .distribution = "global",
                             .defaults = {.rounds = 1},
                             .options = start_gradient_options,
                             .count_passes = count_passes,
                             .begin = begin};
