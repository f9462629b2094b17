/* Ranking the hidden dimensions (pipeline/width.c, reader_evidence.c), reader by reader on rank 0,
 * where a greedy criterion's parts of all readers stand together. */
#include "plan.h"

#include "espalier/model/cost.h"
#include "espalier/select/joint.h"

static int64_t count_outputs(const plan_job *plan, int stage) {
  int64_t sum = 0;
  int n;
  const esp_reader *readers = esp_model_get_readers(plan->job.dense, stage, &n);
  for (int i = 0; i < n; i++) sum += readers[i].linear.outputs;
  return sum;
}

/* Of a vocabulary's head, those that were measured, and which these are. */
static bool reads_logits(const plan_job *plan, int stage) {
  return stage == plan->job.dense->n_stages && plan->job.dense->task == ESP_TASK_LANGUAGE;
}

static esp_criterion_shape shape_of(const plan_job *plan, int stage) {
  const bool has_logits = reads_logits(plan, stage);
  return (esp_criterion_shape){.units = plan->job.dense->width.units,
                               .width = 1,
                               .upper = plan_pair_of_reader(plan, stage).upper,
                               .outputs = has_logits ? plan->logits : count_outputs(plan, stage),
                               .is_fixed = has_logits && plan->job.dense->is_head_tied};
}

static void add_map(const plan_job *plan, int stage, esp_cost *cost) {
  const double d = (double)plan->job.dense->width.units;
  esp_cost_hold(cost, sizeof(float) * d * (double)count_outputs(plan, stage));
  esp_cost_touch(cost, esp_model_loaded_bytes(plan->job.dense, stage));
  if (reads_logits(plan, stage))
    esp_cost_send(cost, plan->ranks, ESP_BCAST, sizeof(int64_t) * (double)plan->logits);
}

/* What is known of one reader stays until it is added. */
static esp_cost gather(const plan_job *plan, const esp_stats_shape *stats, int stage) {
  const bool reads_information = plan->job.criterion->needs & ESP_NEEDS_INFORMATION;
  const bool reads_planes = reads_information || plan_counts_covariance(plan);
  const int64_t d = plan->job.dense->width.units;
  const plan_pair pair = plan_pair_of_reader(plan, stage);
  esp_cost cost = {0};
  esp_stats_add_load_cost(stats, (double)d, reads_planes ? ESP_LOAD_PLANES : 0, &cost);
  if (reads_information) plan_add_information_cost(plan, stats, &pair, &cost);
  plan_add_covariance_cost(plan, stats, d, 0, &cost);
  add_map(plan, stage, &cost);
  if (reads_planes) esp_cost_hold(&cost, -esp_stats_plane_bytes(stats, (double)d));
  return cost;
}

void plan_add_width_cost(const plan_job *plan, const esp_stats_shape *stats, plan_selection *self) {
  esp_cost counts = {0}, select = {0};
  bool is_first = true;
  for (int s = 0; s <= plan->job.dense->n_stages && has_width(&plan->job); s++) {
    if (!plan_has_reader(plan, s)) continue;
    const esp_criterion_shape shape = shape_of(plan, s);
    const esp_cost reader = gather(plan, stats, s);
    esp_cost joint = {0};
    esp_joint_add_cost(plan->job.criterion, &shape, is_first, &joint);
    is_first = false;
    esp_cost_add(&counts, &reader);
    esp_cost_hold(&counts, joint.kept_bytes - reader.kept_bytes);
    esp_cost_hold(&select, reader.kept_bytes);
    esp_cost_add(&select, &joint);
    esp_cost_hold(&select, -reader.kept_bytes);
  }
  if (has_width(&plan->job))
    esp_cost_send(&select, plan->ranks, ESP_BCAST, 16.0 * (double)plan->job.dense->width.units);
  counts.kept_bytes = select.kept_bytes = 0.0;
  esp_cost_add(&self->counts, &counts);
  esp_cost_add(&self->select, &select);
}
