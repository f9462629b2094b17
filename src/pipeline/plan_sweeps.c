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

/* Of the site of a stage, or the logits, what is kept. */
static int64_t count_kept(const plan_job *plan, int stage) {
  return stage < plan->job.dense->n_stages
             ? plan->job.selection.n_kept[stage] * plan->job.dense->stages[stage].width
             : plan->logits;
}

/* The next stage above with units, or n_stages: the logits. */
static int find_above(const plan_job *plan, int stage) {
  int above = stage + 1;
  while (above < plan->job.dense->n_stages && plan->job.dense->stages[above].units == 0) above++;
  return above;
}

plan_pair plan_pair_of_stage(const plan_job *plan, int stage) {
  const int64_t width = plan->job.dense->width.units;
  if (uses_own_output(&plan->job)) return (plan_pair){plan_features(plan, stage), width, width};
  const int above = find_above(plan, stage);
  return (plan_pair){plan_features(plan, stage), plan_features(plan, above),
                     count_kept(plan, above)};
}

plan_pair plan_pair_uncut(const plan_job *plan, int stage) {
  plan_pair pair = plan_pair_of_stage(plan, stage);
  pair.upper = pair.above;
  return pair;
}

plan_pair plan_pair_of_reader(const plan_job *plan, int stage) {
  const int above = find_above(plan, stage - 1);
  return (plan_pair){plan->job.dense->width.units, plan_features(plan, above),
                     count_kept(plan, above)};
}

bool plan_has_reader(const plan_job *plan, int stage) {
  int n;
  return esp_model_get_readers(plan->job.dense, stage, &n) != NULL;
}

void plan_for_each_pair(const plan_job *plan, plan_visit visit, void *context) {
  const bool is_read = plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
  const int n = plan->job.dense->n_stages;
  for (int s = 0; s < n; s++) {
    const plan_pair cut = plan_pair_of_stage(plan, s), uncut = plan_pair_uncut(plan, s);
    if (plan_is_selected(plan, s) && plan->is_priced && is_read) visit(plan, &uncut, context);
    if (plan_is_selected(plan, s)) visit(plan, &cut, context);
  }
  for (int s = 0; s <= n && has_width(&plan->job) && is_read; s++) {
    const plan_pair read = plan_pair_of_reader(plan, s);
    if (plan_has_reader(plan, s)) visit(plan, &read, context);
  }
}

esp_sweep_shape plan_own_sweep(const plan_job *plan, int64_t features, const int64_t *words) {
  esp_sweep_shape shape = make_shape(plan, features, features, words);
  shape.is_symmetric = true;
  return shape;
}

int64_t plan_targets(const plan_job *plan, const plan_pair *pair) {
  const int64_t wanted = plan->job.settings->prune.targets;
  return wanted < pair->upper ? wanted : pair->upper;
}

/* Equal-frequency bins, packed: the words of a plane of one bin's samples. */
static int64_t *count_bin_words(const plan_job *plan, const int64_t *words) {
  const double rows_a_word = (double)plan->rows / (double)(plan->n_batches * plan->words);
  int64_t *of_bin = ESP_NEW(int64_t, plan->ranks);
  for (int r = 0; r < plan->ranks; r++)
    of_bin[r] = (int64_t)ceil((double)words[r] * rows_a_word / (plan->bins * ESP_WORD_BITS));
  return of_bin;
}

void plan_sweeps_init(const plan_job *plan, const plan_pair *pair, const int64_t *words,
                      plan_sweeps *self) {
  const unsigned needs = plan->job.criterion->needs;
  *self = (plan_sweeps){.n = 1, .bin_words = count_bin_words(plan, words)};
  self->rows[0] =
      (plan_sweep){make_shape(plan, pair->features + NOISE_UNITS, pair->upper, words), 1.0};
  if (needs & ESP_NEEDS_REDUNDANCY)
    self->rows[self->n++] = (plan_sweep){plan_own_sweep(plan, pair->features, words), 1.0};
  if (needs & ESP_NEEDS_CONDITIONAL)
    self->rows[self->n++] = (plan_sweep){plan_own_sweep(plan, pair->features, self->bin_words),
                                         (double)(plan_targets(plan, pair) * plan->bins)};
}

void plan_sweeps_clear(plan_sweeps *self) {
  esp_free(&self->bin_words);
}

bool plan_uses_exchange(const plan_job *plan, const esp_sweep_shape *shape) {
  const char *asked = plan->job.settings->sweep.reduce;
  if (strcmp(asked, "auto") != 0) return strcmp(asked, "exchange") == 0;
  return esp_sweep_choose(shape) == ESP_REDUCE_EXCHANGE;
}
