#include "plan.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static esp_sweep_shape make_shape(const plan_job *plan, int64_t x_units, int64_t y_units,
                                  const int64_t *words) {
  return (esp_sweep_shape){.x_units = x_units,
                           .y_units = y_units,
                           .x_bins = plan->bins,
                           .y_bins = plan->bins,
                           .ranks = plan->ranks,
                           .words = words};
}

esp_sweep_shape plan_own_sweep(const plan_job *plan, int stage, const int64_t *words) {
  const int64_t features = plan_features(plan, stage);
  esp_sweep_shape shape = make_shape(plan, features, features, words);
  shape.is_symmetric = true;
  return shape;
}

int64_t plan_targets(const plan_job *plan, int stage) {
  const int64_t upper = plan_upper(plan, stage), wanted = plan->job.settings->targets;
  return wanted < upper ? wanted : upper;
}

/* Equal-frequency bins, packed: the words of a plane of one bin's samples. */
static int64_t *count_bin_words(const plan_job *plan, const int64_t *words) {
  const double rows_a_word = (double)plan->rows / (double)(plan->n_batches * plan->words);
  int64_t *of_bin = ESP_NEW(int64_t, plan->ranks);
  for (int r = 0; r < plan->ranks; r++)
    of_bin[r] = (int64_t)ceil((double)words[r] * rows_a_word / (plan->bins * ESP_WORD_BITS));
  return of_bin;
}

void plan_sweeps_init(const plan_job *plan, int stage, const int64_t *words, plan_sweeps *self) {
  const unsigned needs = plan->job.criterion->needs;
  *self = (plan_sweeps){.n = 1, .bin_words = count_bin_words(plan, words)};
  self->rows[0] = (plan_sweep){
      make_shape(plan, plan_features(plan, stage) + NOISE_UNITS, plan_upper(plan, stage), words),
      1.0};
  if (needs & ESP_NEEDS_REDUNDANCY)
    self->rows[self->n++] = (plan_sweep){plan_own_sweep(plan, stage, words), 1.0};
  if (needs & ESP_NEEDS_CONDITIONAL)
    self->rows[self->n++] = (plan_sweep){plan_own_sweep(plan, stage, self->bin_words),
                                         (double)(plan_targets(plan, stage) * plan->bins)};
}

void plan_sweeps_clear(plan_sweeps *self) {
  esp_free(&self->bin_words);
}

bool plan_uses_exchange(const plan_job *plan, const esp_sweep_shape *shape) {
  const char *asked = plan->job.settings->reduce;
  if (strcmp(asked, "auto") != 0) return strcmp(asked, "exchange") == 0;
  return esp_sweep_choose(shape) == ESP_REDUCE_EXCHANGE;
}
