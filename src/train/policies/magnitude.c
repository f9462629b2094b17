/* The smallest go before the first step: |w|, or the norm of a unit over all values that make it
 * and that read it. The baseline of pruning at initialisation. */
#include "policies.h"
#include "start.h"

static esp_status score_weights(training *self, float *scores) {
  start_copy_magnitudes(self, scores);
  return ESP_OK;
}

static esp_status score_units(training *self, double *scores) {
  pruning_compute_unit_squares(self->comm, &self->pruning, scores);
  return ESP_OK;
}

static esp_status begin(training *self) {
  return start_prune(self, &(start_scores){score_weights, score_units});
}

static const char *const options[] = {"distribution", "min-keep", NULL};

const policy policy_magnitude = {.name = "magnitude",
                                 .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                                 .masked = POLICY_ZERO,
                                 .prunes_once = true,
                                 .distribution = "global",
                                 .unit_distribution = "uniform", // norms of sites differ
                                 .defaults = {.rounds = 1},
                                 .options = options,
                                 .begin = begin};
