/* Which sites' joint information is computed, and what it takes (information.c). */
#include "costs.h"

#include "espalier/core/memory.h"

/* A measure of joint information: of pairs, or given the bins of so many targets. */
typedef struct measure {
  esp_sweep_shape shape;
  int64_t targets;
} measure;

static int64_t count_features(const esp_prune_sketch *sketch, int stage) {
  return stage < sketch->request->dense->n_stages
             ? esp_stage_features(&sketch->request->dense->stages[stage])
             : sketch->logits;
}

/* Of the site of a stage, or the logits, what is kept. */
static int64_t count_kept(const esp_prune_sketch *sketch, int stage) {
  return stage < sketch->request->dense->n_stages
             ? sketch->selection.n_kept[stage] * sketch->request->dense->stages[stage].width
             : sketch->logits;
}

/* The next stage above with units, or n_stages: the logits. */
static int find_above(const esp_prune_sketch *sketch, int stage) {
  int above = stage + 1;
  while (above < sketch->request->dense->n_stages &&
         sketch->request->dense->stages[above].units == 0)
    above++;
  return above;
}

joint_pair joint_pair_of_stage(const esp_prune_sketch *sketch, int stage) {
  const int64_t width = sketch->request->dense->width.units;
  if (uses_own_output(sketch->request))
    return (joint_pair){count_features(sketch, stage), width, width};
  const int above = find_above(sketch, stage);
  return (joint_pair){count_features(sketch, stage), count_features(sketch, above),
                      count_kept(sketch, above)};
}

joint_pair joint_pair_uncut(const esp_prune_sketch *sketch, int stage) {
  joint_pair pair = joint_pair_of_stage(sketch, stage);
  pair.upper = pair.above;
  return pair;
}

joint_pair joint_pair_of_reader(const esp_prune_sketch *sketch, int stage) {
  const int above = find_above(sketch, stage - 1);
  return (joint_pair){sketch->request->dense->width.units, count_features(sketch, above),
                      count_kept(sketch, above)};
}

bool sketch_has_reader(const esp_prune_sketch *sketch, int stage) {
  int n;
  return esp_model_get_readers(sketch->request->dense, stage, &n) != NULL;
}

bool sketch_selects_stage(const esp_prune_sketch *sketch, int stage) {
  return sketch->request->sparsity[stage] >= 0.0;
}

bool sketch_cuts_stage(const esp_prune_sketch *sketch, int stage) {
  return sketch_selects_stage(sketch, stage) &&
         sketch->selection.n_kept[stage] < sketch->request->dense->stages[stage].units;
}

static esp_sweep_shape make_shape(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                  int64_t x_units, int64_t y_units) {
  return (esp_sweep_shape){.x_units = x_units,
                           .y_units = y_units,
                           .x_bins = stats->bins,
                           .y_bins = stats->bins,
                           .reduce = sketch->request->reduce,
                           .samples = stats->rows,
                           .ranks = stats->ranks,
                           .words = stats->rank_words};
}

/* Of a site's own units alone. */
static esp_sweep_shape make_own_shape(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                      int64_t features) {
  esp_sweep_shape shape = make_shape(sketch, stats, features, features);
  shape.is_symmetric = true;
  return shape;
}

static int64_t count_targets(const esp_prune_sketch *sketch, const joint_pair *pair) {
  const int64_t wanted = sketch->request->settings->prune.targets;
  return wanted < pair->upper ? wanted : pair->upper;
}

/* With the units above, and noise with them; then, where the criterion reads them, of its
 * own units with each other, and the same given the targets. */
static int list_measures(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                         const joint_pair *pair, measure list[4]) {
  const esp_sweep_shape own = make_own_shape(sketch, stats, pair->features);
  const unsigned needs = sketch->request->criterion->needs;
  int n = 0;
  list[n++] = (measure){make_shape(sketch, stats, pair->features, pair->upper), 0};
  list[n++] = (measure){make_shape(sketch, stats, NOISE_UNITS, pair->upper), 0};
  if (needs & ESP_NEEDS_REDUNDANCY) list[n++] = (measure){own, 0};
  if (needs & ESP_NEEDS_CONDITIONAL) list[n++] = (measure){own, count_targets(sketch, pair)};
  return n;
}

double joint_pair_bytes(const esp_prune_sketch *sketch, const joint_pair *pair) {
  const double f = (double)pair->features;
  const unsigned needs = sketch->request->criterion->needs;
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

/* Planes above, of which those preserved are copied if not all are; the site's; noise; its
 * measures. */
void joint_pair_add_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                         const joint_pair *pair, esp_cost *cost) {
  const double f = (double)pair->features, above = (double)pair->above;
  measure list[4];
  const int n = list_measures(sketch, stats, pair, list);
  esp_cost step = {0};
  esp_stats_add_load_cost(stats, above, ESP_LOAD_PLANES, &step);
  if (pair->upper < pair->above) {
    esp_cost_hold(&step, esp_stats_plane_bytes(stats, (double)pair->upper));
    esp_cost_hold(&step, -esp_stats_plane_bytes(stats, above));
  }
  esp_cost_hold(&step, esp_stats_plane_bytes(stats, NOISE_UNITS));
  esp_cost_hold(&step, joint_pair_bytes(sketch, pair));
  for (int i = 0; i < n; i++) add_measure(stats, &list[i], &step);
  step.kept_bytes = joint_pair_bytes(sketch, pair);
  step.work.values += (double)stats->rows * NOISE_UNITS;
  step.work.bytes += 4.0 * esp_stats_plane_bytes(stats, f + above);
  esp_cost_add(cost, &step);
}

void joint_pair_add_ways(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                         const joint_pair *pair, esp_sweep_ways *ways) {
  measure list[4];
  const int n = list_measures(sketch, stats, pair, list);
  for (int i = 0; i < n; i++) esp_sweep_add_ways(&list[i].shape, list[i].targets, ways);
}

bool sketch_counts_covariance(const esp_prune_sketch *sketch) {
  return sketch->request->criterion->needs & ESP_NEEDS_COVARIANCE &&
         !reads_activation_covariance(sketch->request);
}

/* In double, as read in single precision, or the correlation of the codes. */
void sketch_add_covariance_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                int64_t features, int owner, esp_cost *cost) {
  const double cells = (double)(features * features);
  esp_sweep_shape shape = make_own_shape(sketch, stats, features);
  shape.visitor = owner + 1;
  if (!(sketch->request->criterion->needs & ESP_NEEDS_COVARIANCE)) return;
  esp_cost_hold(cost, sizeof(double) * cells);
  if (sketch_counts_covariance(sketch)) {
    esp_sweep_add_correlation_cost(&shape, cost);
  } else {
    esp_cost_hold(cost, sizeof(float) * cells);
    esp_stats_add_matrix_cost(stats, (double)features, cost);
    esp_cost_hold(cost, -(double)sizeof(float) * cells);
  }
}
