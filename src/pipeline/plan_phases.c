/* The phases of a pruning, each the sum of what its modules say that it takes. */
#include "plan.h"

#include "espalier/collect/cost.h"
#include "espalier/eval/cost.h"
#include "espalier/model/cost.h"

#include <math.h>

/* Trials of the balanced allocation: a count of heads, and its two neighbours; more where one of
 * them is better. How many units of a kind a trial keeps is not known: as many as are planned. */
enum { TRIALS = 3 };

/* Samples are read while they are open. */
static void add_data(const plan_samples *samples, esp_cost *cost) {
  esp_cost_hold(cost, samples->shard.held_bytes);
  esp_cost_send(cost, samples->shard.ranks, ESP_BCAST, samples->shard.read_bytes);
}

static void add_collect(const plan_job *plan, const plan_samples *samples, esp_cost *cost) {
  esp_cost step = {0};
  add_data(samples, &step);
  esp_collect_add_cost(plan->job.dense, &plan->collect, &samples->shard, &step);
  esp_stats_add_open_cost(&samples->stats[ESP_WHOLE], &step);
  step.kept_bytes = 0.0;
  esp_cost_add(cost, &step);
}

static void add_selection(const plan_job *plan, const esp_stats_shape *stats,
                          plan_selection *self) {
  if (drops_layers(&plan->job)) {
    plan_add_layers_cost(plan, stats, &self->select);
    return;
  }
  plan_add_units_cost(plan, stats, self);
  plan_add_width_cost(plan, stats, self);
}

static void add_stability(const plan_job *plan, esp_cost *cost) {
  for (int half = ESP_EVEN; half <= ESP_ODD; half++) {
    plan_selection self = {0};
    add_selection(plan, &plan->samples.stats[half], &self);
    esp_cost_add(cost, &self.counts);
    esp_cost_add(cost, &self.select);
  }
}

static esp_repair_shape shape_repair(const plan_job *plan) {
  const plan_samples *samples = plan_samples_of_repair(plan);
  return (esp_repair_shape){.ranks = plan->ranks,
                            .dense = plan->job.dense,
                            .pruned = plan->job.pruned,
                            .stats = &plan->samples.stats[ESP_WHOLE],
                            .samples = &samples->shard,
                            .is_width_cut = has_width(&plan->job),
                            .is_of_layers = drops_layers(&plan->job)};
}

static const esp_repair *find_refit(void) {
  const esp_repair *refit = NULL;
  const esp_status status = esp_repair_find("least-squares", &refit);
  ESP_ASSERT(status == ESP_OK);
  return refit;
}

/* Cut, refit from the statistics, and take the loss of some rows (pipeline/trial.c). */
static void add_trials(const plan_job *plan, esp_cost *cost) {
  const esp_shard_shape *samples = &plan_samples_of_repair(plan)->shard;
  const double wanted = (double)plan->job.settings->allocation.trial_tokens;
  const esp_eval_shape rows = {.ranks = plan->ranks,
                               .kind = ESP_DATA_TOKENS,
                               .tokens = samples->tokens,
                               .rows = fmin(wanted, (double)samples->rows)};
  esp_repair_shape shape = shape_repair(plan);
  esp_cost trial = {0};
  shape.is_width_cut = false;
  esp_repair_add_cost(find_refit(), &shape, &trial);
  esp_eval_add_quality_cost(plan->job.pruned, &rows, &trial);
  trial.kept_bytes = 0.0;
  esp_cost_repeat(&trial, TRIALS);
  esp_cost_add(cost, &trial);
}

/* What it leaves in memory stays until it is written. */
static void add_repair(const plan_job *plan, esp_cost *cost) {
  const esp_repair_shape shape = shape_repair(plan);
  esp_repair_add_cost(plan->job.repair, &shape, cost);
  if (is_unstructured(&plan->job)) plan_add_masks_cost(plan, shape.stats, cost);
}

/* /model, and /kept and /scores of every site. */
static void add_write(const plan_job *plan, esp_cost *cost) {
  esp_model_add_write_cost(plan->job.pruned, plan->ranks, cost);
  cost->work.datasets += 2.0 * (double)plan->job.pruned->n_stages;
}

/* Data for repairs and trials, and what ranking leaves behind. */
static double held_bytes(const plan_job *plan) {
  const double data = plan_samples_of_repair(plan)->shard.held_bytes;
  return plan_packed_bytes(plan) + (plan_holds_samples(plan) ? data : 0.0);
}

static esp_cost *begin(plan_phase *phase, const char *name, double held) {
  *phase = (plan_phase){.name = name};
  esp_cost_hold(&phase->cost, held);
  return &phase->cost;
}

/* Of every collection. */
static int list_collection(const plan_job *plan, plan_phase *phases) {
  if (!plan->collects) return 0;
  esp_cost *cost = begin(phases, "collect", 0.0);
  for (int64_t i = 0; i < plan->doublings; i++) add_collect(plan, &plan->earlier[i], cost);
  add_collect(plan, &plan->samples, cost);
  return 1;
}

/* From every collection, the last one's with its stability. */
static int list_selection(const plan_job *plan, double held, plan_phase *phases) {
  int n = 0;
  plan_selection self = {0};
  if (is_unstructured(&plan->job)) return 0;
  for (int64_t i = 0; i < plan->doublings; i++)
    add_selection(plan, &plan->earlier[i].stats[ESP_WHOLE], &self);
  add_selection(plan, &plan->samples.stats[ESP_WHOLE], &self);
  if (!drops_layers(&plan->job))
    esp_cost_add(begin(&phases[n++], "joint counts", held), &self.counts);
  esp_cost_add(begin(&phases[n++], "select", held), &self.select);
  if (plan_has_stability(plan)) add_stability(plan, begin(&phases[n++], "stability", held));
  return n;
}

int plan_list_phases(const plan_job *plan, plan_phase phases[PLAN_PHASES]) {
  const double held = held_bytes(plan);
  int n = list_collection(plan, phases);
  n += list_selection(plan, held, phases + n);
  if (plan->tries) add_trials(plan, begin(&phases[n++], "trial", held));
  esp_cost *cost = begin(&phases[n++], "repair", held);
  add_repair(plan, cost);
  const double kept = cost->kept_bytes;
  add_write(plan, begin(&phases[n++], "write", kept));
  phases[n] = (plan_phase){.name = "eval", .is_apart = true};
  esp_cost_hold(&phases[n].cost, plan->samples.shard.held_bytes);
  esp_eval_add_speed_cost(plan->job.dense, (double)plan->samples.shard.batch_rows, &phases[n].cost);
  return n + 1;
}

void plan_add_opening_cost(const plan_job *plan, esp_cost *cost) {
  esp_model_add_open_cost(plan->job.dense, plan->ranks, cost);
  if (plan_holds_samples(plan)) add_data(plan_samples_of_repair(plan), cost);
}
