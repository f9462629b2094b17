/* 3SP [van Amersfoort et al. 2020]: the modulus of a gate's gradient, divided by the
 * multiplications that the model saves where the unit goes. */
#include "policies.h"
#include "start.h"

static esp_status score_units(training *self, double *scores) {
  const train_units *units = &self->pruning.units;
  ESP_TRY(policy_measure_gradient(self));
  start_sum_gates(self, self->gradients.mean, scores);
  for (int s = 0; s < units->n_sites; s++) {
    const double saved = units_count_products(units, &units->sites[s]);
    for (int64_t u = 0; u < units->sites[s].n; u++) scores[units->sites[s].first + u] /= saved;
  }
  return ESP_OK;
}

const start_scores start_three_sp = {NULL, score_units};

static esp_status begin(training *self) {
  return start_prune(self, &start_three_sp);
}

const policy policy_three_sp = {.name = "3sp",
                                .granularities = POLICY_UNITS,
                                .masked = POLICY_ZERO,
                                .prunes_once = true,
                                .distribution = "global",
                                .defaults = {.rounds = 1},
                                .options = start_gradient_options,
                                .count_passes = start_count_passes,
                                .begin = begin};
