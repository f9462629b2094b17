/* Sparse networks from scratch [Dettmers and Zettlemoyer 2019]: what grows has the largest mean
 * gradient of late; every matrix keeps its count. */
#include "drop_rules.h"
#include "dynamic.h"
#include "policies.h"

#include <math.h>

static const float decay = 0.9f;

static void score_weights(const training *self, int64_t step, float *scores) {
  const float *mean = self->pruning.arrays[0];
  (void)step;
  for (int64_t i = 0; i < self->parts.n_own; i++) scores[i] = fabsf(mean[i]);
}

static void score_units(const training *self, int64_t step, double *scores) {
  (void)step;
  dynamic_measure_gates(self->comm, &self->pruning, self->pruning.arrays[0], scores);
}

static esp_status after_gradient(training *self) {
  static const dynamic_growth by = {score_weights, score_units};
  float *mean = self->pruning.arrays[0];
  if (dynamic_get_step(self) > dynamic_find_end(self)) return ESP_OK;
  for (int64_t i = 0; i < self->parts.n_own; i++)
    mean[i] = decay * mean[i] + (1.0f - decay) * self->gradients.mean[i];
  return dynamic_change_if_due(self, &by);
}

const policy policy_snfs = {.name = "snfs",
                            .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                            .masked = POLICY_ZERO,
                            .keeps_units = true,
                            .n_arrays = 1,
                            .distribution = "erk",
                            .defaults = {.prune_from = 0.0, .prune_to = 0.75, .prune_every = -1},
                            .options = dynamic_options,
                            .check_local = dynamic_check_local,
                            .add_cost = drop_rules_add_cost,
                            .begin = dynamic_begin,
                            .after_gradient = after_gradient,
                            .is_final = dynamic_is_final};
