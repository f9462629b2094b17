/* Ranking sites (ranker.c, evidence.c): sizes do not depend on which units are kept. */
#include "costs.h"
#include "teams.h"

#include "espalier/core/memory.h"
#include "espalier/model/cost.h"

#include <math.h>

/* From which statistics, and what comes of it. */
typedef struct ranking {
  const esp_prune_sketch *sketch;
  const esp_stats_shape *stats;
  esp_cost counts, select; // the latter but for the criterion's serial work
  double serial;           // that of sites that wait for what is kept above
  int n_together;          // the others, which are ranked several at a time
  int *together;           // (n_together) from the widest on
  int *owners, *sizes;     // (stages): first rank and size of a site's team
  int *times;              // (stages): which time it is ranked in
  double *longest;         // (stages): serial work of a time
} ranking;

static bool reads_information(const esp_prune_sketch *sketch) {
  return sketch->request->criterion->needs & ESP_NEEDS_INFORMATION;
}

/* Of halves of the samples all is known that is kept. */
static bool depends(const ranking *self, int stage) {
  if (self->stats->half != ESP_WHOLE) return reads_information(self->sketch);
  return self->sketch->depends[stage];
}

static bool is_ranked(const ranking *self, int stage) {
  return self->stats->half == ESP_WHOLE ? sketch_selects_stage(self->sketch, stage)
                                        : sketch_cuts_stage(self->sketch, stage);
}

static int64_t count_features(const ranking *self, int stage) {
  return esp_stage_features(&self->sketch->request->dense->stages[stage]);
}

static bool is_wider(const ranking *self, int stage, int than) {
  const int64_t mine = count_features(self, stage), other = count_features(self, than);
  return mine > other || (mine == other && stage > than);
}

static void list_together(ranking *self) {
  for (int s = 0; s < self->sketch->request->dense->n_stages; s++) {
    if (!is_ranked(self, s) || depends(self, s)) continue;
    int at = self->n_together++;
    for (; at > 0 && is_wider(self, s, self->together[at - 1]); at--)
      self->together[at] = self->together[at - 1];
    self->together[at] = s;
  }
}

static void deal_team(ranking *self, int stage, int n, int i) {
  const esp_criterion *criterion = self->sketch->request->criterion;
  const int ranks = self->sketch->ranks;
  self->owners[stage] = teams_first(n, ranks, i);
  self->sizes[stage] = teams_size(criterion, count_features(self, stage), n, ranks, i);
}

/* As ranker.c chooses and deals them. */
static void deal_teams(ranking *self) {
  const int n_stages = self->sketch->request->dense->n_stages;
  int64_t *features = ESP_NEW(int64_t, n_stages);
  for (int s = 0; s < n_stages; s++) deal_team(self, s, 1, 0);
  for (int i = 0; i < self->n_together; i++) features[i] = count_features(self, self->together[i]);
  for (int first = 0, time = 0; first < self->n_together; time++) {
    const int left = self->n_together - first, ranks = self->sketch->ranks;
    const int n = teams_choose(self->sketch->request->criterion, features + first,
                               left < ranks ? left : ranks, ranks);
    for (int i = 0; i < n; i++, first++) {
      deal_team(self, self->together[first], n, i);
      self->times[self->together[first]] = time;
    }
  }
  esp_free(&features);
}

/* Those that stay where sites above cut them. */
static int64_t count_outputs(const esp_prune_sketch *sketch, int stage) {
  const esp_linear *linear = &sketch->request->dense->stages[stage].consumer;
  int64_t count = linear->outputs;
  if (!sketch->depends[stage] || sketch->is_priced) return count;
  int64_t *rows = esp_selection_indices(&sketch->selection, sketch->request->dense, linear->weight,
                                        linear->input_major ? 1 : 0, &count);
  esp_free(&rows);
  return count;
}

static esp_criterion_shape shape_of(const esp_prune_sketch *sketch, int stage,
                                    const joint_pair *pair, int team) {
  const esp_stage *self = &sketch->request->dense->stages[stage];
  return (esp_criterion_shape){.units = self->units,
                               .width = self->width,
                               .upper = pair->upper,
                               .outputs = count_outputs(sketch, stage),
                               .has_metric = sketch->has_metric,
                               .team = team};
}

/* The consumer's map, or the units' norms, of a loaded stage. */
static void add_weights(const esp_prune_sketch *sketch, int stage, esp_cost *cost) {
  const esp_linear *map = &sketch->request->dense->stages[stage].consumer;
  const unsigned needs = sketch->request->criterion->needs;
  if (!(needs & (ESP_NEEDS_MAP | ESP_NEEDS_NORMS))) return;
  if (needs & ESP_NEEDS_MAP)
    esp_cost_hold(cost, sizeof(float) * (double)(map->inputs * map->outputs));
  esp_cost_touch(cost, esp_model_loaded_bytes(sketch->request->dense, stage));
  cost->work.values += esp_stage_count_products(sketch->request->dense, stage);
}

/* Fisher information of the outputs. */
static void add_metric(const esp_prune_sketch *sketch, int stage, esp_cost *cost) {
  const double outputs = (double)sketch->request->dense->stages[stage].consumer.outputs;
  if (sketch->has_metric) esp_cost_touch(cost, sizeof(float) * outputs * outputs);
}

static esp_cost criterion_cost(const esp_prune_sketch *sketch, int stage, const joint_pair *pair,
                               int team) {
  const esp_criterion_shape shape = shape_of(sketch, stage, pair, team);
  esp_cost cost = {0};
  esp_criterion_add_cost(sketch->request->criterion, &shape, &cost);
  return cost;
}

double esp_prune_packed_bytes(const esp_prune_sketch *sketch) {
  double most = 0.0;
  for (int s = 0; s < sketch->request->dense->n_stages; s++) {
    const joint_pair pair = joint_pair_of_stage(sketch, s);
    if (sketch_selects_stage(sketch, s))
      most = fmax(most, criterion_cost(sketch, s, &pair, 1).kept_bytes);
  }
  return most;
}

/* What the BLAS keeps is held throughout. A team alone sends: the mean of all ranks. */
static void add_criterion(const ranking *self, int stage, const joint_pair *pair, esp_cost *cost) {
  esp_cost own = criterion_cost(self->sketch, stage, pair, self->sizes[stage]);
  own.peak_bytes -= own.kept_bytes;
  own.kept_bytes = 0.0;
  for (int kind = 0; kind < ESP_N_COLLECTIVES; kind++)
    own.traffic[kind] *= (double)self->sizes[stage] / self->sketch->ranks;
  esp_cost_add(cost, &own);
}

static esp_cost rank(const ranking *self, int stage, const joint_pair *pair) {
  const esp_prune_sketch *sketch = self->sketch;
  const bool counts = sketch_counts_covariance(sketch);
  const int64_t units = sketch->request->dense->stages[stage].units, features = pair->features;
  const double planes = counts ? esp_stats_plane_bytes(self->stats, (double)features) : 0.0;
  esp_cost cost = {0};
  if (reads_information(sketch)) esp_cost_hold(&cost, joint_pair_bytes(sketch, pair));
  if (esp_prune_reads_statistics(sketch->request))
    esp_stats_add_load_cost(self->stats, (double)features, counts ? ESP_LOAD_PLANES : 0, &cost);
  sketch_add_covariance_cost(sketch, self->stats, features, self->owners[stage], &cost);
  esp_cost_hold(&cost, -planes);
  add_weights(sketch, stage, &cost);
  add_metric(sketch, stage, &cost);
  add_criterion(self, stage, pair, &cost);
  esp_cost_send(&cost, sketch->ranks, ESP_BCAST, 16.0 * (double)units + sizeof(double));
  cost.kept_bytes = 0.0;
  return cost;
}

/* Sites that are ranked at one time take what the longest takes. */
static void add_serial(ranking *self, int stage, double serial) {
  double *longest = &self->longest[self->times[stage]];
  if (depends(self, stage))
    self->serial += serial;
  else
    *longest = fmax(*longest, serial);
}

static void add_ranking(ranking *self, int stage, const joint_pair *pair) {
  esp_cost cost = rank(self, stage, pair);
  add_serial(self, stage, cost.work.serial);
  cost.work.serial = 0.0;
  esp_cost_add(&self->select, &cost);
}

/* A stage's own planes are read for it once more. */
static void add_information(ranking *self, const joint_pair *pair) {
  esp_cost cost = {0};
  esp_stats_add_load_cost(self->stats, (double)pair->features, ESP_LOAD_PLANES, &cost);
  joint_pair_add_cost(self->sketch, self->stats, pair, &cost);
  cost.kept_bytes = 0.0;
  esp_cost_add(&self->counts, &cost);
}

/* Information is for the report where the criterion reads none, and codes were collected. */
static void add_stage(ranking *self, int stage) {
  const esp_prune_sketch *sketch = self->sketch;
  const joint_pair uncut = joint_pair_uncut(sketch, stage),
                   cut = joint_pair_of_stage(sketch, stage);
  const bool is_whole = self->stats->half == ESP_WHOLE, is_priced = is_whole && sketch->is_priced;
  if (is_priced) add_ranking(self, stage, &uncut);
  if (is_priced && reads_information(sketch)) add_information(self, &uncut);
  if (!is_priced || depends(self, stage)) add_ranking(self, stage, &cut);
  if ((is_whole && !self->stats->lacks_codes) || reads_information(sketch))
    add_information(self, &cut);
}

static ranking ranking_new(const esp_prune_sketch *sketch, const esp_stats_shape *stats) {
  const int n = sketch->request->dense->n_stages;
  ranking self = {.sketch = sketch,
                  .stats = stats,
                  .together = ESP_NEW(int, n),
                  .owners = ESP_NEW(int, n),
                  .sizes = ESP_NEW(int, n),
                  .times = ESP_NEW(int, n),
                  .longest = ESP_NEW(double, n)};
  list_together(&self);
  deal_teams(&self);
  return self;
}

static void ranking_clear(ranking *self) {
  esp_free(&self->together);
  esp_free(&self->owners);
  esp_free(&self->sizes);
  esp_free(&self->times);
  esp_free(&self->longest);
}

void add_select_cost_of_units(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                              esp_selection_cost *self) {
  const int n = sketch->request->dense->n_stages;
  ranking all = ranking_new(sketch, stats);
  for (int s = n - 1; s >= 0; s--)
    if (is_ranked(&all, s)) add_stage(&all, s);
  all.select.work.serial = all.serial;
  for (int time = 0; time < n; time++) all.select.work.serial += all.longest[time];
  esp_cost_add(&self->counts, &all.counts);
  esp_cost_add(&self->select, &all.select);
  ranking_clear(&all);
}

void add_ways_of_units(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                       esp_sweep_ways *ways) {
  const bool is_read = sketch->request->criterion->needs & ESP_NEEDS_INFORMATION;
  for (int s = 0; s < sketch->request->dense->n_stages; s++) {
    const joint_pair cut = joint_pair_of_stage(sketch, s), uncut = joint_pair_uncut(sketch, s);
    if (stats->lacks_codes || !sketch_selects_stage(sketch, s)) continue;
    if (sketch->is_priced && is_read) joint_pair_add_ways(sketch, stats, &uncut, ways);
    joint_pair_add_ways(sketch, stats, &cut, ways);
  }
}

/* A site in the report, its repair included (measured, HDF5's own headers too). */
double file_bytes_of_units(const esp_prune_sketch *sketch) {
  enum { IN_REPORT = 1480 };
  const esp_model *dense = sketch->request->dense;
  double sum = 0.0;
  for (int s = 0; s < dense->n_stages; s++)
    sum += IN_REPORT + file_bytes_of_site(sketch->selection.n_kept[s], dense->stages[s].units);
  return sum;
}
