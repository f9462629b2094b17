/* Movement pruning [Sanh, Wolf and Rush 2020]: scores of weights, or of units, learn how the loss
 * would move with a mask; S <- S - rate dL/dW' W, summed over a unit, as if the mask were 1
 * (straight through). Hard: the highest scores live, a cubic schedule. Soft: those with sigmoid(S)
 * > tau live, tau follows the schedule to 0.1, and a penalty on mean sigmoid(S) follows tau. */
#include "policies.h"
#include "scores.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static const double last_threshold = 0.1;

static bool is_soft(const esp_policy_options *options) {
  return strcmp(options->threshold, "soft") == 0;
}

static bool is_unread(const esp_policy_options *options, const char *name) {
  static const char *const of_hard[] = {"final-sparsity", "distribution", NULL};
  if (!is_soft(options)) return strcmp(name, "penalty") == 0;
  for (const char *const *row = of_hard; *row; row++)
    if (strcmp(*row, name) == 0) return true;
  return false;
}

/* How far the schedule is, cubic. */
static double get_ramp(const training *self) {
  const double rest = 1.0 - policy_get_progress(self);
  return 1.0 - rest * rest * rest;
}

/* The score at which sigmoid(S) is tau; all are above it while tau is 0. */
static double find_threshold(const training *self) {
  const double tau = last_threshold * get_ramp(self);
  return log(tau / (1.0 - tau));
}

/* Weight of the penalty, times the slope of sigmoid at a score. */
static double compute_pull(double weight, double score) {
  const double sigmoid = 1.0 / (1.0 + exp(-score));
  return weight * sigmoid * (1.0 - sigmoid);
}

static double get_penalty(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  return is_soft(options) ? options->penalty * get_ramp(self) : 0.0;
}

static void learn_weights(training *self) {
  float *gradient = ESP_NEW(float, self->parts.n_own);
  const double penalty = get_penalty(self);
  scores_compute_mask_gradient(self, gradient);
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const double weight = penalty * scores_weigh_matrix(self, run->weight);
    for (int64_t i = run->own; weight > 0.0 && i < run->own + run->n; i++)
      gradient[i] += (float)compute_pull(weight, (double)self->pruning.arrays[0][i]);
  }
  scores_step_weights(self, gradient);
  esp_free(&gradient);
}

static void learn_units(training *self) {
  const train_units *units = &self->pruning.units;
  double *gradient = ESP_NEW(double, units->n);
  const double penalty = get_penalty(self);
  scores_compute_gate_gradient(self, gradient);
  for (int s = 0; s < units->n_sites; s++) {
    const double weight = penalty * scores_weigh_site(self, &units->sites[s]);
    for (int64_t u = units->sites[s].first; u < units->sites[s].first + units->sites[s].n; u++)
      gradient[u] += compute_pull(weight, self->pruning.unit_arrays[0][u]);
  }
  scores_step_units(self, gradient);
  esp_free(&gradient);
}

static esp_status after_gradient(training *self) {
  if (self->pruning.by_units)
    learn_units(self);
  else
    learn_weights(self);
  return ESP_OK;
}

static void prune_weights(training *self) {
  train_pruning *pruning = &self->pruning;
  uint8_t *among = ESP_NEW(uint8_t, self->parts.n_own);
  scores_list_weights(self, among);
  if (is_soft(pruning->options))
    pruning_keep_weights_above(self->comm, pruning, pruning->arrays[0], among,
                               find_threshold(self));
  else
    pruning_keep_weights(self->comm, pruning, pruning->arrays[0], among,
                         policy_get_cubic_sparsity(self));
  esp_free(&among);
}

static void prune_units(training *self) {
  train_pruning *pruning = &self->pruning;
  if (is_soft(pruning->options))
    pruning_keep_units_above(self->comm, pruning, pruning->unit_arrays[0], find_threshold(self));
  else
    pruning_keep_units(self->comm, pruning, pruning->unit_arrays[0], NULL,
                       policy_get_cubic_sparsity(self));
}

static esp_status after_step(training *self) {
  if (!scores_are_due(self)) return ESP_OK;
  if (self->pruning.by_units)
    prune_units(self);
  else
    prune_weights(self);
  return ESP_OK;
}

static bool is_final(const training *self) {
  return self->progress.step > 0 && policy_get_progress(self) >= 1.0;
}

static void add_cost(const training *self, int ranks, double changes, esp_cost *cost) {
  (void)ranks, (void)changes;
  scores_add_cost(self, 0.0, cost);
}

static const char *const options[] = {"distribution", "min-keep",    "prune-from",
                                      "prune-to",     "prune-every", "threshold",
                                      "score-rate",   "penalty",     NULL};

const policy policy_movement = {.name = "movement",
                                .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                                .masked = POLICY_KEPT,
                                .learns_scores = true,
                                .n_arrays = SCORES_ARRAYS,
                                .n_unit_arrays = SCORES_ARRAYS,
                                .arrays_of_weights = true,
                                .distribution = "uniform",
                                .defaults = {.prune_from = 0.1,
                                             .prune_to = 0.8,
                                             .prune_every = 1,
                                             .score_rate = 0.01,
                                             .penalty = 400.0},
                                .unit_penalty = 1.0,
                                .remedy = "--penalty, --score-rate or the number of steps",
                                .options = options,
                                .is_unread = is_unread,
                                .add_cost = add_cost,
                                .after_gradient = after_gradient,
                                .after_step = after_step,
                                .is_final = is_final};
