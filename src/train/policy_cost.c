#include "policy_cost.h"

#include "espalier/comm/cost.h"
#include "espalier/model/cost.h"

#include <math.h>
#include <string.h>

/* ranking.c: passes over the scores, and counts of each. */
enum { PASSES = 4, BINS = 256 };

double policy_held_bytes(const training *self) {
  const train_pruning *pruning = &self->pruning;
  if (!pruning->of) return 0.0;
  const double maps = pruning->by_units ? 2.0 * sizeof(int32_t) : 0.0;
  const double latent = pruning_has_latent(pruning) ? sizeof(float) : 0.0;
  const double value =
      sizeof(uint8_t) + latent + maps + sizeof(float) * (double)pruning_count_arrays(pruning);
  return value * (double)self->parts.n_own;
}

double policy_saved_bytes(const training *self) {
  const policy *of = self->pruning.of;
  if (!of) return 0.0;
  const double arrays = (double)pruning_count_arrays(&self->pruning);
  return sizeof(float) * (1.0 + (pruning_has_latent(&self->pruning) ? 1.0 : 0.0) + arrays);
}

int64_t policy_count_passes(const training *self) {
  const policy *of = self->pruning.of;
  return of && of->count_passes ? of->count_passes(self) : 0;
}

int64_t policy_count_gathers(const training *self) {
  const policy *of = self->pruning.of;
  if (!of) return 0;
  return 1 + (of->defaults.rounds > 0 ? self->pruning.options->rounds : 0);
}

bool policy_stores_seed(const policy *of) {
  return of && (of->masked == POLICY_FROZEN || of->holds_weights);
}

/* Of a matrix of a new model: values that are not as drawn, nor zero; shares are even. */
static double count_others(const training *self, int weight) {
  const train_pruning *pruning = &self->pruning;
  const double n = (double)esp_weight_count(&self->parts.model->weights[weight]);
  const bool is_signed = strcmp(pruning->options->frozen_values, "signed") == 0;
  if (pruning->matrix_of[weight] < 0) return self->parts.trains[weight] ? n : 0.0;
  if (pruning->of->holds_weights && !is_signed) return 0.0;
  return (1.0 - pruning->options->final_sparsity) * n;
}

double policy_file_bytes(const training *self) {
  const esp_model *model = self->parts.model;
  double sum = esp_model_file_bytes(model);
  if (model->path || !policy_stores_seed(self->pruning.of) || self->pruning.by_units) return sum;
  for (int w = 0; w < model->n_weights; w++) {
    const esp_weight *weight = &model->weights[w];
    const double whole = (double)esp_weight_count(weight) * (double)esp_dtype_bytes(weight->type);
    sum += esp_weight_drawn_bytes(weight, count_others(self, w)) - whole;
  }
  return sum;
}

/* How often the masks change. */
static double count_changes(const training *self) {
  const esp_policy_options *options = self->pruning.options;
  if (self->pruning.of->prunes_once) return fmax((double)options->rounds, 1.0);
  const double steps = (options->prune_to - options->prune_from) * (double)self->schedule.n;
  return 1.0 + steps / (double)policy_get_every(self);
}

/* Scores and two marks of every value. */
void policy_add_cost(const training *self, int ranks, esp_cost *cost) {
  const train_pruning *pruning = &self->pruning;
  if (!pruning->of) return;
  const double changes = count_changes(self), own = (double)self->parts.n_own;
  const double all = pruning_is_global(pruning) ? 1.0 : 0.0; // beside the least of each matrix
  const double sets = pruning->by_units ? 0.0 : (double)pruning->n_matrices + all;
  esp_cost_touch(cost, own * (sizeof(float) + 2.0 * sizeof(uint8_t)));
  if (pruning->by_units)
    esp_cost_send(cost, ranks, ESP_ALLREDUCE,
                  changes * 2.0 * sizeof(int64_t) * (double)pruning->units.n);
  esp_cost_send(cost, ranks, ESP_ALLREDUCE, changes * PASSES * BINS * sizeof(int64_t) * sets);
  cost->work.values += changes * PASSES * (double)self->parts.n_values;
  if (pruning->of->add_cost) pruning->of->add_cost(self, ranks, changes, cost);
}
