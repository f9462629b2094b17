/* RigL [Evci et al. 2020]: what grows has the largest gradient, taken where weights are zero too.
 */
#include "drop_rules.h"
#include "dynamic.h"
#include "policies.h"

#include <math.h>

static void score_weights(const training *self, int64_t step, float *scores) {
  (void)step;
  for (int64_t i = 0; i < self->parts.n_own; i++) scores[i] = fabsf(self->gradients.mean[i]);
}

static void score_units(const training *self, int64_t step, double *scores) {
  (void)step;
  dynamic_measure_gates(self->comm, &self->pruning, self->gradients.mean, scores);
}

static esp_status after_gradient(training *self) {
  static const dynamic_growth by = {score_weights, score_units};
  return dynamic_change_if_due(self, &by);
}

const policy policy_rigl = {.name = "rigl",
                            .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                            .masked = POLICY_ZERO,
                            .keeps_units = true,
                            .distribution = "erk",
                            .defaults = {.prune_from = 0.0, .prune_to = 0.75, .prune_every = -1},
                            .options = dynamic_options,
                            .check_local = dynamic_check_local,
                            .add_cost = drop_rules_add_cost,
                            .begin = dynamic_begin,
                            .after_gradient = after_gradient,
                            .is_final = dynamic_is_final};
