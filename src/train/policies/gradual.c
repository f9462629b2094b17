/* Gradual magnitude pruning [Zhu and Gupta 2017]: the smallest weights go, a cubic schedule. By
 * units: those of the smallest norm, over all values that make a unit and that read it. */
#include "policies.h"

#include "espalier/core/memory.h"

#include <math.h>

static void prune_weights(training *self, double sparsity) {
  train_pruning *pruning = &self->pruning;
  float *scores = ESP_NEW(float, self->parts.n_own);
  parts_copy_own_local(&self->parts, scores);
  for (int64_t i = 0; i < self->parts.n_own; i++) scores[i] = fabsf(scores[i]);
  pruning_keep_weights(self->comm, pruning, scores, pruning->mask, sparsity);
  esp_free(&scores);
}

static void prune_units(training *self, double sparsity) {
  train_pruning *pruning = &self->pruning;
  double *scores = ESP_NEW(double, pruning->units.n);
  pruning_compute_unit_squares(self->comm, pruning, scores);
  pruning_keep_units(self->comm, pruning, scores, pruning->alive, sparsity);
  esp_free(&scores);
}

static esp_status after_step(training *self) {
  if (!policy_is_due(self)) return ESP_OK;
  const double sparsity = policy_get_cubic_sparsity(self);
  if (self->pruning.by_units)
    prune_units(self, sparsity);
  else
    prune_weights(self, sparsity);
  return ESP_OK;
}

static bool is_final(const training *self) {
  return policy_get_progress(self) >= 1.0;
}

static const char *const options[] = {"distribution", "min-keep",    "prune-from",
                                      "prune-to",     "prune-every", NULL};

const policy policy_gradual = {.name = "gradual",
                               .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                               .masked = POLICY_ZERO,
                               .distribution = "uniform",
                               .defaults = {.prune_from = 0.0, .prune_to = 0.75},
                               .options = options,
                               .after_step = after_step,
                               .is_final = is_final};
