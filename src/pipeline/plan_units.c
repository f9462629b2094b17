/* Ranking sites (pipeline/ranking.c, evidence.c): sizes do not hang on which units are kept. */
#include "plan.h"

#include "espalier/core/memory.h"
#include "espalier/model/cost.h"

#include <math.h>

/* From which statistics, and what comes of it. */
typedef struct ranking {
  const plan_job *plan;
  const esp_stats_shape *stats;
  esp_cost counts, select; // the latter but for the criterion's serial work:
  double most, sum;        // of a site, of all
  bool depends;            // some site waits for what is kept above
} ranking;

static bool reads_information(const plan_job *plan) {
  return plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
}

/* Of halves of the samples all is known that is kept. */
static bool depends(const ranking *self, int stage) {
  if (self->stats->half != ESP_WHOLE) return reads_information(self->plan);
  return self->plan->depends[stage];
}

static bool is_ranked(const ranking *self, int stage) {
  return self->stats->half == ESP_WHOLE ? plan_is_selected(self->plan, stage)
                                        : plan_is_cut(self->plan, stage);
}

/* Stages that hang on nothing above them are ranked one a rank, from the top. */
static int find_owner(const ranking *self, int stage) {
  int before = 0;
  if (depends(self, stage)) return 0;
  for (int s = stage + 1; s < self->plan->job.dense->n_stages; s++)
    before += is_ranked(self, s) && !depends(self, s);
  return before % self->plan->ranks;
}

static esp_criterion_shape shape_of(const plan_job *plan, int stage, const plan_pair *pair) {
  const esp_stage *self = &plan->job.dense->stages[stage];
  return (esp_criterion_shape){.units = self->units,
                               .width = self->width,
                               .upper = pair->upper,
                               .outputs = self->consumer.outputs,
                               .has_metric = plan->has_metric};
}

/* The consumer's map and the units' norms, of a loaded stage. */
static void add_weights(const plan_job *plan, int stage, esp_cost *cost) {
  const esp_linear *map = &plan->job.dense->stages[stage].consumer;
  esp_cost_hold(cost, sizeof(float) * (double)(map->inputs * map->outputs));
  esp_cost_touch(cost, esp_model_loaded_bytes(plan->job.dense, stage));
  cost->work.values += esp_stage_count_products(plan->job.dense, stage);
}

/* Fisher information of the outputs. */
static void add_metric(const plan_job *plan, int stage, esp_cost *cost) {
  const double outputs = (double)plan->job.dense->stages[stage].consumer.outputs;
  if (plan->has_metric) esp_cost_touch(cost, sizeof(float) * outputs * outputs);
}

static esp_cost criterion_cost(const plan_job *plan, int stage, const plan_pair *pair) {
  const esp_criterion_shape shape = shape_of(plan, stage, pair);
  esp_cost cost = {0};
  esp_criterion_add_cost(plan->job.criterion, &shape, &cost);
  return cost;
}

double plan_packed_bytes(const plan_job *plan) {
  double most = 0.0;
  for (int s = 0; s < plan->job.dense->n_stages; s++) {
    const plan_pair pair = plan_pair_of_stage(plan, s);
    if (plan_is_selected(plan, s)) most = fmax(most, criterion_cost(plan, s, &pair).kept_bytes);
  }
  return most;
}

/* What the BLAS keeps is held throughout. */
static void add_criterion(const plan_job *plan, int stage, const plan_pair *pair, esp_cost *cost) {
  esp_cost own = criterion_cost(plan, stage, pair);
  own.peak_bytes -= own.kept_bytes;
  own.kept_bytes = 0.0;
  esp_cost_add(cost, &own);
}

static esp_cost rank(const ranking *self, int stage, const plan_pair *pair) {
  const plan_job *plan = self->plan;
  const bool counts = plan_counts_covariance(plan);
  const int64_t units = plan->job.dense->stages[stage].units, features = pair->features;
  const double planes = counts ? esp_stats_plane_bytes(self->stats, (double)features) : 0.0;
  esp_cost cost = {0};
  if (reads_information(plan)) esp_cost_hold(&cost, plan_information_bytes(plan, pair));
  esp_stats_add_load_cost(self->stats, (double)features, counts ? ESP_LOAD_PLANES : 0, &cost);
  plan_add_covariance_cost(plan, self->stats, features, find_owner(self, stage), &cost);
  esp_cost_hold(&cost, -planes);
  add_weights(plan, stage, &cost);
  add_metric(plan, stage, &cost);
  add_criterion(plan, stage, pair, &cost);
  esp_cost_send(&cost, plan->ranks, ESP_BCAST, 16.0 * (double)units + sizeof(double));
  cost.kept_bytes = 0.0;
  return cost;
}

static void add_ranking(ranking *self, int stage, const plan_pair *pair) {
  esp_cost cost = rank(self, stage, pair);
  self->most = fmax(self->most, cost.work.serial);
  self->sum += cost.work.serial;
  self->depends = self->depends || depends(self, stage);
  cost.work.serial = 0.0;
  esp_cost_add(&self->select, &cost);
}

/* A stage's own planes are read for it once more. */
static void add_information(ranking *self, const plan_pair *pair) {
  esp_cost cost = {0};
  esp_stats_add_load_cost(self->stats, (double)pair->features, ESP_LOAD_PLANES, &cost);
  plan_add_information_cost(self->plan, self->stats, pair, &cost);
  cost.kept_bytes = 0.0;
  esp_cost_add(&self->counts, &cost);
}

/* Information is for the report where the criterion reads none. */
static void add_stage(ranking *self, int stage) {
  const plan_job *plan = self->plan;
  const plan_pair uncut = plan_pair_uncut(plan, stage), cut = plan_pair_of_stage(plan, stage);
  const bool is_whole = self->stats->half == ESP_WHOLE, is_priced = is_whole && plan->is_priced;
  if (is_priced) add_ranking(self, stage, &uncut);
  if (is_priced && reads_information(plan)) add_information(self, &uncut);
  if (!is_priced || depends(self, stage)) add_ranking(self, stage, &cut);
  if (is_whole || reads_information(plan)) add_information(self, &cut);
}

/* Sites are ranked one a rank where nothing of the selection above enters. */
void plan_add_units_cost(const plan_job *plan, const esp_stats_shape *stats, plan_selection *self) {
  ranking all = {.plan = plan, .stats = stats};
  for (int s = plan->job.dense->n_stages - 1; s >= 0; s--)
    if (is_ranked(&all, s)) add_stage(&all, s);
  all.select.work.serial = all.depends ? all.sum : fmax(all.most, all.sum / plan->ranks);
  esp_cost_add(&self->counts, &all.counts);
  esp_cost_add(&self->select, &all.select);
}
