/* Sparse evolutionary training [Mocanu et al. 2018]: what grows is random. */
#include "drop_rules.h"
#include "dynamic.h"
#include "policies.h"

#include "espalier/core/rng.h"

static const uint64_t stream_growth = UINT64_C(0xd5701) << 40;

static double draw(const training *self, int64_t step, int64_t place) {
  return esp_rng_uniform(self->request->seed, stream_growth + (uint64_t)step, (uint64_t)place);
}

static void score_weights(const training *self, int64_t step, float *scores) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    for (int64_t i = 0; i < run->n; i++)
      scores[run->own + i] = (float)draw(self, step, run->place + i);
  }
}

static void score_units(const training *self, int64_t step, double *scores) {
  for (int64_t u = 0; u < self->pruning.units.n; u++) scores[u] = draw(self, step, u);
}

static esp_status after_gradient(training *self) {
  static const dynamic_growth by = {score_weights, score_units};
  return dynamic_change_if_due(self, &by);
}

const policy policy_set = {.name = "set",
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
