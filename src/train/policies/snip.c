/* SNIP [Lee et al. 2019]: |w dL/dw| over all samples of the scores; in several rounds its iterative
 * form. By units SNAP [Verdenius et al. 2020]: |dL/dm|, m the unit's gate. */
#include "policies.h"
#include "start.h"

static esp_status score_weights(training *self, float *scores) {
  ESP_TRY(policy_measure_gradient(self));
  parts_copy_own_local(&self->parts, scores);
  start_multiply(self, scores, self->gradients.mean, scores);
  return ESP_OK;
}

static esp_status score_units(training *self, double *scores) {
  ESP_TRY(policy_measure_gradient(self));
  start_sum_gates(self, self->gradients.mean, scores);
  return ESP_OK;
}

const start_scores start_snip = {score_weights, score_units};

static esp_status begin(training *self) {
  return start_prune(self, &start_snip);
}

const policy policy_snip = {.name = "snip",
                            .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                            .masked = POLICY_ZERO,
                            .prunes_once = true,
                            .distribution = "global",
                            .defaults = {.rounds = 1},
                            .options = start_gradient_options,
                            .count_passes = start_count_passes,
                            .begin = begin};
