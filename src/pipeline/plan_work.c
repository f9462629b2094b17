/* Work by phase over all ranks, and the time it takes at the speeds measured here. */
#include "plan.h"

#include <math.h>

enum { SOLVES = 7, CHOOSE_PASSES = 2 };

typedef struct work {
  double flops;   // divided by the ranks
  double serial;  // flops of the busiest rank while others wait
  double words;   // word operations of the busiest rank
  double bytes;   // read and written by one rank
  double reduced; // bytes of allreduced buffers
} work;

static double matrix_parameters(const esp_model *model, int stage) {
  double sum = 0.0;
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stage == stage && model->weights[i].rank == 2)
      sum += (double)esp_weight_count(&model->weights[i]);
  return sum;
}

/* Forward through the stages, the pilot's part twice; second moments, half of a product; logits
 * twice. */
static work collect_work(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const double rows = (double)plan->rows, d = (double)model->width.units;
  const double again = 1.0 + (double)plan->pilot_rows / fmax(rows, 1.0);
  work self = {0};
  for (int s = 0; s < model->n_stages; s++) {
    const double f = (double)plan_features(plan, s);
    self.flops += rows * 2.0 * matrix_parameters(model, s) * again;
    if (plan->has_covariance) self.flops += rows * f * f;
    if (plan->has_width) self.flops += rows * d * d;
    self.reduced += plan->has_covariance ? 8.0 * f * f : 0.0;
    /* values pass some dozen times (edges, planes, sums of three kinds), sums once a micro-batch */
    self.bytes += (12.0 * 4.0 * rows * f + 16.0 * f * f * (double)plan->n_batches) / plan->ranks;
  }
  self.flops += CHOOSE_PASSES * again * rows * 2.0 * (double)model->n_outputs * fmax(d, 1.0);
  self.flops += 6.0 * (double)plan->fisher_rows * (double)esp_model_count_prunable(model);
  return self;
}

/* Logarithms by table, and differences, in the flops. */
static void add_sweeps(const plan_job *plan, const plan_pair *pair, void *context) {
  work *self = context;
  plan_sweeps sweeps;
  plan_sweeps_init(plan, pair, plan->rank_words, &sweeps);
  for (int i = 0; i < sweeps.n; i++) {
    const double times = sweeps.rows[i].times;
    const esp_sweep_cost cost = esp_sweep_compute_cost(&sweeps.rows[i].shape);
    const bool exchanges = plan_uses_exchange(plan, &sweeps.rows[i].shape);
    self->words += times * (exchanges ? cost.exchange_words : cost.allreduce_words);
    self->reduced += times * (exchanges ? cost.exchanged_bytes_max / 2.0 : cost.reduced_bytes);
    self->flops += times * 200.0 * (double)cost.cells / (plan->bins - 1);
  }
  plan_sweeps_clear(&sweeps);
}

static work counts_work(const plan_job *plan) {
  work self = {0};
  plan_for_each_pair(plan, add_sweeps, &self);
  return self;
}

/* Inverse, products with the map and downdates: about 3 F^3 + 2 F^2 P. Sites are ranked one a rank
 * where nothing of the selection above enters. */
static work select_work(const plan_job *plan) {
  work self = {0};
  if (!(plan->job.criterion->needs & ESP_NEEDS_COVARIANCE)) return self;
  double most = 0.0, sum = 0.0;
  for (int s = 0; s < plan->job.dense->n_stages; s++) {
    if (!plan_is_selected(plan, s)) continue;
    const double f = (double)plan_features(plan, s);
    const double flops =
        f * f * (3.0 * f + 2.0 * (double)plan->job.dense->stages[s].consumer.outputs);
    sum += flops;
    most = fmax(most, flops);
  }
  self.serial = plan->depends[0] ? sum : fmax(most, sum / plan->ranks);
  return self;
}

/* Two streams forward (the pruned one twice), second moments, Cholesky and solutions. */
static work repair_work(const plan_job *plan) {
  const esp_model *dense = plan->job.dense, *pruned = plan->job.pruned;
  const bool passes = plan->job.repair->needs_data;
  const double rows = (double)plan->rows;
  work self = {0};
  for (int s = 0; s < dense->n_stages; s++) {
    const esp_linear *cut = &pruned->stages[s].consumer;
    const double k = (double)cut->inputs, out = (double)cut->outputs;
    const double solve = k * k * k / 3.0 + 2.0 * k * k * out;
    if (plan->job.repair->needs_covariance)
      self.flops += solve + 2.0 * k * out * (double)plan_features(plan, s);
    if (!passes) continue;
    self.flops += rows * 2.0 * (matrix_parameters(dense, s) + 2.0 * matrix_parameters(pruned, s)) +
                  rows * (k * k + 2.0 * k * out) + SOLVES * (solve + 2.0 * k * k * out);
    self.reduced += 16.0 * (k * k + k * out) + SOLVES * 8.0 * k * out;
    self.bytes += 16.0 * (k * k + k * out) * (double)plan->n_batches / plan->ranks;
  }
  return self;
}

static void set_work(json_t *all, const char *name, work self) {
  json_object_set_new(all, name,
                      json_pack("{s:f, s:f}", "flops", self.flops + self.serial, "word_operations",
                                self.words * 1.0));
}

json_t *plan_work(const plan_job *plan) {
  json_t *all = json_object();
  if (plan->collects) set_work(all, "collect", collect_work(plan));
  set_work(all, "joint counts", counts_work(plan));
  set_work(all, "select", select_work(plan));
  set_work(all, "repair", repair_work(plan));
  return all;
}

static double seconds(const plan_job *plan, work self) {
  const plan_machine *machine = &plan->machine;
  const double reduce = machine->reduce_bytes_per_s > 0.0 ? machine->reduce_bytes_per_s
                                                          : machine->copy_bytes_per_s / 4.0;
  return (self.flops / plan->ranks + self.serial) / machine->flops_per_s +
         self.words / machine->words_per_s + self.bytes / machine->copy_bytes_per_s +
         (plan->ranks > 1 ? self.reduced / reduce : 0.0);
}

json_t *plan_time(const plan_job *plan) {
  json_t *all = json_object();
  double sum = 0.0;
  if (plan->collects)
    json_object_set_new(all, "collect", json_real(seconds(plan, collect_work(plan))));
  json_object_set_new(all, "joint counts", json_real(seconds(plan, counts_work(plan))));
  json_object_set_new(all, "select", json_real(seconds(plan, select_work(plan))));
  json_object_set_new(all, "repair", json_real(seconds(plan, repair_work(plan))));
  const char *name;
  json_t *value;
  json_object_foreach(all, name, value) sum += json_real_value(value);
  json_object_set_new(all, "all", json_real(sum));
  return all;
}

/* Sums over all sweeps, both ways. */
typedef struct ways {
  double words[2], bytes[2]; // allreduce, exchange
  double exchanges, sweeps;
} ways;

static void add_ways(const plan_job *plan, const plan_pair *pair, void *context) {
  ways *self = context;
  plan_sweeps sweeps;
  plan_sweeps_init(plan, pair, plan->rank_words, &sweeps);
  for (int i = 0; i < sweeps.n; i++) {
    const double times = sweeps.rows[i].times;
    const esp_sweep_cost cost = esp_sweep_compute_cost(&sweeps.rows[i].shape);
    self->sweeps += times;
    self->exchanges += plan_uses_exchange(plan, &sweeps.rows[i].shape) ? times : 0.0;
    self->words[0] += times * cost.allreduce_words;
    self->words[1] += times * cost.exchange_words;
    self->bytes[0] += times * cost.reduced_bytes;
    self->bytes[1] += times * cost.exchanged_bytes;
  }
  plan_sweeps_clear(&sweeps);
}

json_t *plan_reduce(const plan_job *plan) {
  ways all = {0};
  plan_for_each_pair(plan, add_ways, &all);
  const double allreduce_s = seconds(plan, (work){.words = all.words[0], .reduced = all.bytes[0]});
  const double exchange_s =
      seconds(plan, (work){.words = all.words[1], .reduced = all.bytes[1] / 2.0});
  return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:s}", "sweeps", (json_int_t)all.sweeps,
                   "by_exchange", (json_int_t)all.exchanges, "allreduce_bytes", all.bytes[0],
                   "exchange_bytes", all.bytes[1], "allreduce_s", allreduce_s, "exchange_s",
                   exchange_s, "cheaper", exchange_s < allreduce_s ? "exchange" : "allreduce");
}
