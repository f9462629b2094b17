/* 3SP [van Amersfoort et al. 2020]: the modulus of a gate's gradient, divided by the
 * multiplications that the model saves where the unit goes. */
#include "policies.h"
#include "start.h"

/* Elements of matrices that go with one unit. */
static double count_products(const esp_model *model, const esp_slice *slices, int n) {
  double sum = 0.0;
  for (int s = 0; s < n; s++) {
    const esp_weight *weight = &model->weights[slices[s].weight];
    if (weight->rank != 2) continue;
    sum += (double)slices[s].width * (double)weight->shape[1 - slices[s].axis];
  }
  return sum;
}

static double count_saved(const training *self, const units_site *site) {
  const esp_model *model = self->parts.model;
  const esp_stage *of = &model->stages[site->stage];
  return count_products(model, of->producers, of->n_producers) +
         count_products(model, of->consumers, of->n_consumers);
}

static esp_status score_units(training *self, double *scores) {
  const train_units *units = &self->pruning.units;
  ESP_TRY(policy_measure_gradient(self));
  start_sum_gates(self, self->gradients.mean, scores);
  for (int s = 0; s < units->n_sites; s++) {
    const double saved = count_saved(self, &units->sites[s]);
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
