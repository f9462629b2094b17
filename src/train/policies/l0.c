/* L0 regularisation by hard concrete gates [Louizos, Welling and Kingma 2018], of weights or of
 * units: gate M = clamp(s (r - l) + l, 0, 1) with s = sigmoid((log u - log(1 - u) + S) / b), u
 * drawn for each step; a penalty on the part of gates that are expected not to be zero. What is
 * measured and written has s = sigmoid(S). */
#include "policies.h"
#include "scores.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <math.h>
#include <string.h>

enum { STREAM_GATES = 1 << 30 };
static const double low = -0.1, high = 1.1, temperature = 2.0 / 3.0; // l, r, b
static const double first_score = 2.197;                             // sigmoid 0.9
static const double least_draw = 1e-4;

static double sigmoid(double x) {
  return 1.0 / (1.0 + exp(-x));
}

static double stretch(double s) {
  return fmin(fmax(s * (high - low) + low, 0.0), 1.0);
}

/* S above which the gate that is written is not zero: s (r - l) + l > 0. */
static double find_threshold(void) {
  return log(-low / high);
}

/* The gate that is written; one that stays at any rate is not zero. */
static double compute_gate(double score) {
  const double s = sigmoid(score);
  const double gate = stretch(s);
  return gate > 0.0 ? gate : fmax(s, 1e-6);
}

/* s of the step to come, of a weight or unit by its place among all. */
static double draw(const training *self, double score, int64_t place) {
  const uint64_t stream = STREAM_GATES + (uint64_t)self->progress.step;
  const double drawn = esp_rng_uniform(self->request->seed, stream, (uint64_t)place);
  const double u = fmin(fmax(drawn, least_draw), 1.0 - least_draw);
  return sigmoid((log(u) - log(1.0 - u) + score) / temperature);
}

/* dM/dS. */
static double compute_slope(double s) {
  const double gate = s * (high - low) + low;
  return gate > 0.0 && gate < 1.0 ? (high - low) * s * (1.0 - s) / temperature : 0.0;
}

/* Slope of the probability that a gate is not zero, sigmoid(S - b log(-l / r)). */
static double compute_pull(double score) {
  const double p = sigmoid(score - temperature * find_threshold());
  return p * (1.0 - p);
}

static double get_penalty(const training *self) {
  const double from = floor(self->pruning.options->prune_from * (double)self->schedule.n);
  return (double)self->progress.step >= from ? self->pruning.options->penalty : 0.0;
}

/* A weight that a mask held at zero as it was read has no gate. */
static bool is_open(const training *self, int64_t at) {
  return !self->request->model->is_masked || self->pruning.latent[at] != 0.0f;
}

/* The weights behind the gates follow dL/dW' M. */
static void learn_run(const training *self, const parts_run *run, float *gradient) {
  const double weight = get_penalty(self) * scores_weigh_matrix(self, run->weight);
  const float *scores = self->pruning.arrays[0];
  if (self->pruning.matrix_of[run->weight] < 0) return;
  for (int64_t i = 0; i < run->n; i++) {
    const int64_t at = run->own + i;
    const double score = (double)scores[at], s = draw(self, score, run->place + i);
    const double of_loss = (double)gradient[at] * compute_slope(s);
    gradient[at] = (float)(of_loss + weight * compute_pull(score));
    self->gradients.mean[at] *= is_open(self, at) ? (float)stretch(s) : 0.0f;
  }
}

static void learn_weights(training *self) {
  float *gradient = ESP_NEW(float, self->parts.n_own);
  scores_compute_mask_gradient(self, gradient);
  for (int r = 0; r < self->parts.n_runs; r++) learn_run(self, &self->parts.runs[r], gradient);
  scores_step_weights(self, gradient);
  esp_free(&gradient);
}

static void learn_site(const training *self, const units_site *site, double *gradient,
                       double *gates) {
  const double weight = get_penalty(self) * scores_weigh_site(self, site);
  for (int64_t u = site->first; u < site->first + site->n; u++) {
    const double score = self->pruning.unit_arrays[0][u], s = draw(self, score, u);
    gradient[u] = gradient[u] * compute_slope(s) + weight * compute_pull(score);
    gates[u] = stretch(s);
  }
}

static void learn_units(training *self) {
  const train_units *units = &self->pruning.units;
  double *gradient = ESP_NEW(double, units->n), *gates = ESP_NEW(double, units->n);
  scores_compute_gate_gradient(self, gradient);
  for (int s = 0; s < units->n_sites; s++) learn_site(self, &units->sites[s], gradient, gates);
  for (int64_t i = 0; i < self->parts.n_own; i++)
    if (units->consumed[i] >= 0) self->gradients.mean[i] *= (float)gates[units->consumed[i]];
  scores_step_units(self, gradient);
  esp_free(&gates);
  esp_free(&gradient);
}

static esp_status after_gradient(training *self) {
  if (self->pruning.by_units)
    learn_units(self);
  else
    learn_weights(self);
  return ESP_OK;
}

static double choose_gate(const training *self, double score, int64_t place, bool as_result) {
  return as_result ? compute_gate(score) : stretch(draw(self, score, place));
}

static void gate_weights(training *self, bool as_result) {
  const train_pruning *pruning = &self->pruning;
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    float *value = parts_find_values(&self->parts, run);
    for (int64_t i = 0; pruning->matrix_of[run->weight] >= 0 && i < run->n; i++)
      value[i] *= (float)choose_gate(self, (double)pruning->arrays[0][run->own + i], run->place + i,
                                     as_result);
  }
}

static void gate_units(training *self, bool as_result) {
  const train_pruning *pruning = &self->pruning;
  double *gates = ESP_NEW(double, pruning->units.n);
  for (int64_t u = 0; u < pruning->units.n; u++)
    gates[u] = choose_gate(self, pruning->unit_arrays[0][u], u, as_result);
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    float *value = parts_find_values(&self->parts, run);
    for (int64_t i = 0; i < run->n; i++)
      if (pruning->units.consumed[run->own + i] >= 0)
        value[i] *= (float)gates[pruning->units.consumed[run->own + i]];
  }
  esp_free(&gates);
}

/* Those whose written gate is zero are masked. */
static void keep_open(training *self) {
  train_pruning *pruning = &self->pruning;
  uint8_t *among = ESP_NEW(uint8_t, self->parts.n_own);
  scores_list_weights(self, among);
  if (pruning->by_units)
    pruning_keep_units_above(self->comm, pruning, pruning->unit_arrays[0], find_threshold());
  else
    pruning_keep_weights_above(self->comm, pruning, pruning->arrays[0], among, find_threshold());
  esp_free(&among);
}

/* While it trains nothing is masked: a gate of 0 is a draw. */
static void keep_all(training *self) {
  train_pruning *pruning = &self->pruning;
  memset(pruning->mask, 1, (size_t)self->parts.n_own);
  if (pruning->by_units) memset(pruning->alive, 1, (size_t)pruning->units.n);
  pruning_apply(self->comm, pruning);
}

static void set_weights(training *self, bool as_result) {
  if (as_result)
    keep_open(self);
  else
    keep_all(self);
  if (self->pruning.by_units)
    gate_units(self, as_result);
  else
    gate_weights(self, as_result);
}

static esp_status begin(training *self) {
  scores_init(self, first_score);
  return ESP_OK;
}

static bool is_final(const training *self) {
  return self->progress.step > 0 && policy_get_progress(self) >= 1.0;
}

static bool is_unread(const esp_policy_options *options, const char *name) {
  (void)options;
  return strcmp(name, "final-sparsity") == 0;
}

/* Gates of a step are drawn for its weights, and for their gradient. */
static void add_cost(const training *self, int ranks, double changes, esp_cost *cost) {
  (void)ranks, (void)changes;
  scores_add_cost(self, 2.0, cost);
}

static const char *const options[] = {"min-keep", "prune-from", "prune-to",
                                      "penalty",  "score-rate", NULL};

const policy policy_l0 = {
    .name = "l0",
    .granularities = POLICY_WEIGHTS | POLICY_UNITS,
    .masked = POLICY_KEPT,
    .learns_scores = true,
    .n_arrays = SCORES_ARRAYS,
    .n_unit_arrays = SCORES_ARRAYS,
    .arrays_of_weights = true,
    .defaults = {.prune_from = 0.0, .prune_to = 1.0, .score_rate = 0.1, .penalty = 125.0},
    .unit_penalty = 3.0,
    .remedy = "--penalty, --score-rate or the number of steps",
    .options = options,
    .is_unread = is_unread,
    .add_cost = add_cost,
    .begin = begin,
    .after_gradient = after_gradient,
    .set_weights = set_weights,
    .is_final = is_final};
