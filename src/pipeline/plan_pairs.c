/* Which sites' joint information is computed, and what it takes (pipeline/information.c). */
#include "plan.h"

#include "espalier/core/memory.h"

/* A measure of joint information: of pairs, or given the bins of so many targets. */
typedef struct measure {
  esp_sweep_shape shape;
  int64_t targets;
} measure;

static int64_t count_features(const plan_job *plan, int stage) {
  return stage < plan->job.dense->n_stages ? esp_stage_features(&plan->job.dense->stages[stage])
                                           : plan->logits;
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
  if (uses_own_output(&plan->job)) return (plan_pair){count_features(plan, stage), width, width};
  const int above = find_above(plan, stage);
  return (plan_pair){count_features(plan, stage), count_features(plan, above),
                     count_kept(plan, above)};
}

plan_pair plan_pair_uncut(const plan_job *plan, int stage) {
  plan_pair pair = plan_pair_of_stage(plan, stage);
  pair.upper = pair.above;
  return pair;
}

plan_pair plan_pair_of_reader(const plan_job *plan, int stage) {
  const int above = find_above(plan, stage - 1);
  return (plan_pair){plan->job.dense->width.units, count_features(plan, above),
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

static esp_sweep_shape make_shape(const plan_job *plan, const esp_stats_shape *stats,
                                  int64_t x_units, int64_t y_units) {
  return (esp_sweep_shape){.x_units = x_units,
                           .y_units = y_units,
                           .x_bins = stats->bins,
                           .y_bins = stats->bins,
                           .reduce = esp_sweep_find_reduce(plan->job.settings->sweep.reduce),
                           .samples = stats->rows,
                           .ranks = stats->ranks,
                           .words = stats->rank_words};
}

/* Of a site's own units alone. */
static esp_sweep_shape make_own_shape(const plan_job *plan, const esp_stats_shape *stats,
                                      int64_t features) {
  esp_sweep_shape shape = make_shape(plan, stats, features, features);
  shape.is_symmetric = true;
  return shape;
}

static int64_t count_targets(const plan_job *plan, const plan_pair *pair) {
  const int64_t wanted = plan->job.settings->prune.targets;
  return wanted < pair->upper ? wanted : pair->upper;
}

/* With the units above, and noise among the site's; then, where the criterion reads them, of its
 * own units with each other, and the same given the targets. */
static int list_measures(const plan_job *plan, const esp_stats_shape *stats, const plan_pair *pair,
                         measure list[3]) {
  const esp_sweep_shape own = make_own_shape(plan, stats, pair->features);
  const unsigned needs = plan->job.criterion->needs;
  int n = 0;
  list[n++] = (measure){make_shape(plan, stats, pair->features + NOISE_UNITS, pair->upper), 0};
  if (needs & ESP_NEEDS_REDUNDANCY) list[n++] = (measure){own, 0};
  if (needs & ESP_NEEDS_CONDITIONAL) list[n++] = (measure){own, count_targets(plan, pair)};
  return n;
}

double plan_information_bytes(const plan_job *plan, const plan_pair *pair) {
  const double f = (double)pair->features;
  const unsigned needs = plan->job.criterion->needs;
  const int own = !!(needs & ESP_NEEDS_REDUNDANCY) + !!(needs & ESP_NEEDS_CONDITIONAL);
  return sizeof(float) * ((f + NOISE_UNITS) * (double)pair->upper + own * f * f);
}

/* Targets are copied out of the planes above. */
static void add_measure(const esp_stats_shape *stats, const measure *self, esp_cost *cost) {
  const double targets = esp_stats_plane_bytes(stats, (double)self->targets);
  esp_cost_hold(cost, targets);
  if (self->targets > 0)
    esp_sweep_add_conditional_cost(&self->shape, self->targets, cost);
  else
    esp_sweep_add_information_cost(&self->shape, cost);
  esp_cost_hold(cost, -targets);
}

/* Planes above, of which those preserved are copied; the site's with noise; its measures. */
void plan_add_information_cost(const plan_job *plan, const esp_stats_shape *stats,
                               const plan_pair *pair, esp_cost *cost) {
  const double f = (double)pair->features, above = (double)pair->above;
  measure list[3];
  const int n = list_measures(plan, stats, pair, list);
  esp_cost step = {0};
  esp_stats_add_load_cost(stats, above, ESP_LOAD_PLANES, &step);
  esp_cost_hold(&step, esp_stats_plane_bytes(stats, (double)pair->upper));
  esp_cost_hold(&step, -esp_stats_plane_bytes(stats, above));
  esp_cost_hold(&step, esp_stats_plane_bytes(stats, f + NOISE_UNITS));
  esp_cost_hold(&step, plan_information_bytes(plan, pair));
  for (int i = 0; i < n; i++) add_measure(stats, &list[i], &step);
  step.kept_bytes = plan_information_bytes(plan, pair);
  step.work.values += (double)stats->rows * NOISE_UNITS;
  step.work.bytes += 4.0 * esp_stats_plane_bytes(stats, f + above);
  esp_cost_add(cost, &step);
}

void plan_add_ways(const plan_job *plan, const plan_pair *pair, esp_sweep_ways *ways) {
  measure list[3];
  const int n = list_measures(plan, &plan->samples.stats[ESP_WHOLE], pair, list);
  for (int i = 0; i < n; i++) esp_sweep_add_ways(&list[i].shape, list[i].targets, ways);
}

bool plan_counts_covariance(const plan_job *plan) {
  return plan->job.criterion->needs & ESP_NEEDS_COVARIANCE &&
         !needs_activation_covariance(&plan->job);
}

/* In double, as read in single precision, or the correlation of the codes. */
void plan_add_covariance_cost(const plan_job *plan, const esp_stats_shape *stats, int64_t features,
                              int owner, esp_cost *cost) {
  const double cells = (double)(features * features);
  esp_sweep_shape shape = make_own_shape(plan, stats, features);
  shape.visitor = owner + 1;
  if (!(plan->job.criterion->needs & ESP_NEEDS_COVARIANCE)) return;
  esp_cost_hold(cost, sizeof(double) * cells);
  if (plan_counts_covariance(plan)) {
    esp_sweep_add_correlation_cost(&shape, cost);
  } else {
    esp_cost_hold(cost, sizeof(float) * cells);
    esp_stats_add_matrix_cost(stats, (double)features, cost);
    esp_cost_hold(cost, -(double)sizeof(float) * cells);
  }
}
