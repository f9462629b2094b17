/* Ranking the hidden dimensions (ranker_width.c, reader_evidence.c), reader by reader on rank 0,
 * where a greedy criterion's parts of all readers stand together. */
#include "costs.h"

#include "espalier/model/cost.h"
#include "espalier/select/joint.h"

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

/* What is known of one reader stays until it is added. */
static esp_cost gather(const esp_prune_sketch *sketch, const esp_stats_shape *stats, int stage) {
  const bool reads_information = sketch->request->criterion->needs & ESP_NEEDS_INFORMATION;
  const bool reads_planes = reads_information || sketch_counts_covariance(sketch);
  const int64_t d = sketch->request->dense->width.units;
  const joint_pair pair = joint_pair_of_reader(sketch, stage);
  esp_cost cost = {0};
  if (esp_prune_reads_statistics(sketch->request))
    esp_stats_add_load_cost(stats, (double)d, reads_planes ? ESP_LOAD_PLANES : 0, &cost);
  if (reads_information) joint_pair_add_cost(sketch, stats, &pair, &cost);
  sketch_add_covariance_cost(sketch, stats, d, 0, &cost);
  add_map(sketch, stage, &cost);
  if (reads_planes) esp_cost_hold(&cost, -esp_stats_plane_bytes(stats, (double)d));
  return cost;
}

void add_select_cost_of_width(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                              esp_selection_cost *self) {
  esp_cost counts = {0}, select = {0};
  bool is_first = true;
  for (int s = 0; s <= sketch->request->dense->n_stages; s++) {
    if (!sketch_has_reader(sketch, s)) continue;
    const esp_criterion_shape shape = shape_of(sketch, s);
    const esp_cost reader = gather(sketch, stats, s);
    esp_cost joint = {0};
    esp_joint_add_cost(sketch->request->criterion, &shape, is_first, &joint);
    is_first = false;
    esp_cost_add(&counts, &reader);
    esp_cost_hold(&counts, joint.kept_bytes - reader.kept_bytes);
    esp_cost_hold(&select, reader.kept_bytes);
    esp_cost_add(&select, &joint);
    esp_cost_hold(&select, -reader.kept_bytes);
  }
  esp_cost_send(&select, sketch->ranks, ESP_BCAST,
                16.0 * (double)sketch->request->dense->width.units);
  counts.kept_bytes = select.kept_bytes = 0.0;
  esp_cost_add(&self->counts, &counts);
  esp_cost_add(&self->select, &select);
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
