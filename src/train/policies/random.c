/* Random masks before the first step: the baseline that every table needs. The draw of a value is a
 * function of the seed and of its place among the values of all ranks. */
#include "policies.h"
#include "start.h"

#include "espalier/core/rng.h"

enum { STREAM_WEIGHTS = 0x7a4d01, STREAM_UNITS = 0x7a4d02 };

static esp_status score_weights(training *self, float *scores) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    for (int64_t i = 0; i < run->n; i++)
      scores[run->own + i] =
          (float)esp_rng_uniform(self->request->seed, STREAM_WEIGHTS, (uint64_t)(run->place + i));
  }
  return ESP_OK;
}

static esp_status score_units(training *self, double *scores) {
  for (int64_t u = 0; u < self->pruning.units.n; u++)
    scores[u] = esp_rng_uniform(self->request->seed, STREAM_UNITS, (uint64_t)u);
  return ESP_OK;
}

static esp_status begin(training *self) {
  return start_prune(self, &(start_scores){score_weights, score_units});
}

static const char *const options[] = {"distribution", "min-keep", NULL};

const policy policy_random = {.name = "random",
                              .granularities = POLICY_WEIGHTS | POLICY_UNITS,
                              .masked = POLICY_ZERO,
                              .prunes_once = true,
                              .distribution = "erk",
                              .unit_distribution = "uniform",
                              .defaults = {.rounds = 1},
                              .options = options,
                              .begin = begin};
