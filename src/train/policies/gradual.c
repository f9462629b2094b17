/* Gradual magnitude pruning [Zhu and Gupta 2017]: the smallest weights go, a cubic schedule. By
 * units: those of the smallest norm, over all values that make a unit and that read it. */
#include "policies.h"

static esp_status after_step(training *self) {
  if (!policy_is_due(self)) return ESP_OK;
  pruning_keep_by_magnitude(self->comm, &self->pruning, policy_get_cubic_sparsity(self));
  return ESP_OK;
}

static bool is_final(const training *self) {
  return self->progress.step > 0 && policy_get_progress(self) >= 1.0;
}

static const char *const options[] = {"distribution", "min-keep",    "prune-from",
                                      "prune-to",     "prune-every", NULL};

const policy policy_gradual = {.name = "gradual",
                               .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                               .masked = POLICY_ZERO,
                               .distribution = "erk",
                               .unit_distribution = "uniform",
                               .defaults = {.prune_from = 0.0, .prune_to = 0.75},
                               .options = options,
                               .after_step = after_step,
                               .is_final = is_final};
