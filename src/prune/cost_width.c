/* Ranking the hidden dimensions (ranker_width.c, reader_evidence.c), reader by reader on rank 0, or
 * one by each rank at a time; a greedy criterion's parts of a rank's readers stand together. */
#include "costs.h"

#include "espalier/model/cost.h"
#include "espalier/select/joint.h"

#include <math.h>

static int64_t count_outputs(const esp_prune_sketch *sketch, int stage) {
  int64_t sum = 0;
  int n;
  const esp_reader *readers = esp_model_get_readers(sketch->request->dense, stage, &n);
  for (int i = 0; i < n; i++) sum += readers[i].linear.outputs;
  return sum;
}

/* Of a vocabulary's head, those that were measured, and which these are: reader_evidence.c. */
static bool reads_logits(const esp_prune_sketch *sketch, int stage) {
  return stage == sketch->request->dense->n_stages &&
         sketch->request->dense->task == ESP_TASK_LANGUAGE && reads_calibration(sketch->request);
}

static esp_criterion_shape shape_of(const esp_prune_sketch *sketch, int stage) {
  const bool has_logits = reads_logits(sketch, stage);
  return (esp_criterion_shape){.units = sketch->request->dense->width.units,
                               .width = 1,
                               .upper = joint_pair_of_reader(sketch, stage).upper,
                               .outputs =
                                   has_logits ? sketch->logits : count_outputs(sketch, stage),
                               .is_fixed = has_logits && sketch->request->dense->is_head_tied};
}

static void add_map(const esp_prune_sketch *sketch, int stage, esp_cost *cost) {
  const double d = (double)sketch->request->dense->width.units;
  if (!(sketch->request->criterion->needs & (ESP_NEEDS_MAP | ESP_NEEDS_NORMS))) return;
  esp_cost_hold(cost, sizeof(float) * d * (double)count_outputs(sketch, stage));
  esp_cost_touch(cost, esp_model_loaded_bytes(sketch->request->dense, stage));
  if (reads_logits(sketch, stage))
    esp_cost_send(cost, sketch->ranks, ESP_BCAST, sizeof(int64_t) * (double)sketch->logits);
}

/* Readers of one time, as ranker_width.c adds them. */
typedef struct width_cost {
  const esp_prune_sketch *sketch;
  const esp_stats_shape *stats;
  esp_cost counts, select;
  int n, at_once;       // readers so far; at a time
  esp_cost mine, joint; // what rank 0 knows of its reader of this time, and makes of it
  double longest;       // serial work of this time
} width_cost;

/* Another rank has the covariance of its reader. */
static void add_covariance(const width_cost *self, int owner, esp_cost *cost) {
  esp_cost covariance = {0};
  sketch_add_covariance_cost(self->sketch, self->stats, self->sketch->request->dense->width.units,
                             owner, &covariance);
  if (owner > 0) covariance.peak_bytes = covariance.kept_bytes = 0.0;
  esp_cost_add(cost, &covariance);
}

/* What is known of one reader stays until it is added. */
static esp_cost gather(const width_cost *self, int stage, int owner) {
  const esp_prune_sketch *sketch = self->sketch;
  const bool reads_information = sketch->request->criterion->needs & ESP_NEEDS_INFORMATION;
  const bool reads_planes = reads_information || sketch_counts_covariance(sketch);
  const int64_t d = sketch->request->dense->width.units;
  const joint_pair pair = joint_pair_of_reader(sketch, stage);
  esp_cost cost = {0};
  if (esp_prune_reads_statistics(sketch->request))
    esp_stats_add_load_cost(self->stats, (double)d, reads_planes ? ESP_LOAD_PLANES : 0, &cost);
  if (reads_information) joint_pair_add_cost(sketch, self->stats, &pair, &cost);
  add_covariance(self, owner, &cost);
  add_map(sketch, stage, &cost);
  if (reads_planes) esp_cost_hold(&cost, -esp_stats_plane_bytes(self->stats, (double)d));
  return cost;
}

static void add_reader(width_cost *self, int stage) {
  const int owner = self->n % self->at_once;
  const esp_criterion_shape shape = shape_of(self->sketch, stage);
  const esp_cost reader = gather(self, stage, owner);
  esp_cost joint = {0};
  esp_joint_add_cost(self->sketch->request->criterion, &shape, self->n == 0, &joint);
  self->n++;
  self->longest = fmax(self->longest, joint.work.serial);
  joint.work.serial = 0.0;
  esp_cost_add(&self->counts, &reader);
  if (owner > 0) {
    esp_cost_hold(&self->counts, -reader.kept_bytes);
    return;
  }
  self->mine = reader;
  self->joint = joint;
}

/* Rank 0's part of its reader takes the place of what was known. */
static void end_time(width_cost *self) {
  self->joint.work.serial = self->longest;
  esp_cost_hold(&self->counts, self->joint.kept_bytes - self->mine.kept_bytes);
  esp_cost_hold(&self->select, self->mine.kept_bytes);
  esp_cost_add(&self->select, &self->joint);
  esp_cost_hold(&self->select, -self->mine.kept_bytes);
  self->longest = 0.0;
}

void add_select_cost_of_width(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                              esp_selection_cost *self) {
  const int64_t units = sketch->request->dense->width.units;
  const bool is_shared = esp_joint_is_shared(sketch->request->criterion);
  width_cost all = {.sketch = sketch, .stats = stats, .at_once = is_shared ? sketch->ranks : 1};
  for (int s = sketch->request->dense->n_stages; s >= 0; s--) {
    if (!sketch_has_reader(sketch, s)) continue;
    add_reader(&all, s);
    if (all.n % all.at_once == 0) end_time(&all);
  }
  if (all.n % all.at_once > 0) end_time(&all);
  if (is_shared) esp_joint_add_traffic(units, all.n, sketch->ranks, &all.select);
  esp_cost_send(&all.select, sketch->ranks, ESP_BCAST, 16.0 * (double)units);
  all.counts.kept_bytes = all.select.kept_bytes = 0.0;
  esp_cost_add(&self->counts, &all.counts);
  esp_cost_add(&self->select, &all.select);
}

void add_ways_of_width(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                       esp_sweep_ways *ways) {
  if (!(sketch->request->criterion->needs & ESP_NEEDS_INFORMATION)) return;
  for (int s = 0; s <= sketch->request->dense->n_stages; s++) {
    const joint_pair pair = joint_pair_of_reader(sketch, s);
    if (sketch_has_reader(sketch, s)) joint_pair_add_ways(sketch, stats, &pair, ways);
  }
}

double file_bytes_of_width(const esp_prune_sketch *sketch) {
  const esp_model *dense = sketch->request->dense;
  return file_bytes_of_site(sketch->selection.n_kept[dense->n_stages], dense->width.units);
}
