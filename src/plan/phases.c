/* The phases of a pruning, each the sum of what its modules say that it takes. */
#include "plan_job.h"

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
  esp_collect_add_cost(plan->request->dense, &plan->sketch->collect, &samples->shard, &step);
  esp_stats_add_open_cost(&samples->stats[ESP_WHOLE], &step);
  step.kept_bytes = 0.0;
  esp_cost_add(cost, &step);
}

static void add_stability(const plan_job *plan, esp_cost *cost) {
  for (int half = ESP_EVEN; half <= ESP_ODD; half++) {
    esp_selection_cost self = {0};
    esp_prune_add_selection_cost(plan->sketch, &plan->samples.stats[half], &self);
    esp_cost_add(cost, &self.counts);
    esp_cost_add(cost, &self.select);
  }
}

static esp_repair_shape shape_repair(const plan_job *plan) {
  const plan_samples *samples = plan_samples_of_repair(plan);
  return (esp_repair_shape){.ranks = plan->ranks,
                            .dense = plan->request->dense,
                            .pruned = plan->sketch->pruned,
                            .stats = &plan->samples.stats[ESP_WHOLE],
                            .samples = &samples->shard,
                            .is_width_cut =
                                plan->request->sparsity[plan->request->dense->n_stages] >= 0.0,
                            .is_of_layers = plan->sketch->n_layers >= 0};
}

static const esp_repair *find_refit(void) {
  const esp_repair *refit = NULL;
  const esp_status status = esp_repair_find("least-squares", &refit);
  ESP_ASSERT(status == ESP_OK);
  return refit;
}

/* Cut, refit from the statistics, and take the loss of some rows (prune/trial.c). */
static void add_trials(const plan_job *plan, esp_cost *cost) {
  const esp_shard_shape *samples = &plan_samples_of_repair(plan)->shard;
  const double wanted = (double)plan->request->settings->allocation.trial_tokens;
  const esp_eval_shape rows = {.ranks = plan->ranks,
                               .kind = ESP_DATA_TOKENS,
                               .tokens = samples->tokens,
                               .rows = fmin(wanted, (double)samples->rows)};
  esp_repair_shape shape = shape_repair(plan);
  esp_cost trial = {0};
  shape.is_width_cut = false;
  esp_repair_add_cost(find_refit(), &shape, &trial);
  esp_eval_add_quality_cost(plan->sketch->pruned, &rows, &trial);
  trial.kept_bytes = 0.0;
  esp_cost_repeat(&trial, TRIALS);
  esp_cost_add(cost, &trial);
}

/* What it leaves in memory stays until it is written. */
static void add_repair(const plan_job *plan, esp_cost *cost) {
  const esp_repair_shape shape = shape_repair(plan);
  esp_repair_add_cost(plan->request->repair, &shape, cost);
  esp_prune_add_structure_cost(plan->sketch, shape.stats, cost);
}

/* /model, and /kept and /scores of every site. */
static void add_write(const plan_job *plan, esp_cost *cost) {
  esp_model_add_write_cost(plan->sketch->pruned, plan->ranks, plan->recovery.values_bytes > 0.0,
                           cost);
  cost->work.datasets += 2.0 * (double)plan->sketch->pruned->n_stages;
}

/* Data for repairs and trials, and what ranking leaves behind. */
static double held_bytes(const plan_job *plan) {
  const double data = plan_samples_of_repair(plan)->shard.held_bytes;
  return esp_prune_packed_bytes(plan->sketch) + (plan_holds_samples(plan) ? data : 0.0);
}

static esp_cost *begin(plan_phase *phase, const char *name, double held) {
  *phase = (plan_phase){.name = name, .needed = -1.0};
  esp_cost_hold(&phase->cost, held);
  return &phase->cost;
}

/* Of every collection. */
static int list_collection(const plan_job *plan, plan_phase *phases) {
  if (!plan->collects) return 0;
  esp_cost *cost = begin(phases, "collect", 0.0);
  for (int64_t i = 0; i < plan->doublings; i++) add_collect(plan, &plan->earlier[i], cost);
  add_collect(plan, &plan->samples, cost);
  phases->needed = plan_need_collect(plan, &plan->samples);
  for (int64_t i = 0; i < plan->doublings; i++)
    phases->needed += plan_need_collect(plan, &plan->earlier[i]);
  return 1;
}

static double need_counts(const plan_job *plan) {
  double sum = plan_need_counts(plan, &plan->samples);
  for (int64_t i = 0; i < plan->doublings; i++) sum += plan_need_counts(plan, &plan->earlier[i]);
  return sum;
}

/* From every collection, the last one's with its stability. */
static int list_selection(const plan_job *plan, double held, plan_phase *phases) {
  int n = 0;
  esp_selection_cost self = {0};
  if (!esp_prune_selects(plan->sketch)) return 0;
  for (int64_t i = 0; i < plan->doublings; i++)
    esp_prune_add_selection_cost(plan->sketch, &plan->earlier[i].stats[ESP_WHOLE], &self);
  esp_prune_add_selection_cost(plan->sketch, &plan->samples.stats[ESP_WHOLE], &self);
  if (plan->sketch->n_layers < 0 && self.counts.peak_bytes > 0.0) {
    esp_cost_add(begin(&phases[n++], "joint counts", held), &self.counts);
    phases[n - 1].needed = need_counts(plan);
  }
  esp_cost_add(begin(&phases[n++], "select", held), &self.select);
  phases[n - 1].needed = (double)(plan->doublings + 1) * plan_need_select(plan, ESP_WHOLE);
  if (esp_prune_measures_stability(plan->sketch, plan->samples.shard.n_batches)) {
    add_stability(plan, begin(&phases[n++], "stability", held));
    phases[n - 1].needed = 2.0 * plan_need_select(plan, ESP_EVEN);
  }
  return n;
}

/* What both hold throughout is held once. */
void plan_add_training(const esp_train_cost *training, esp_cost *cost) {
  esp_cost both[2] = {training->steps, training->evaluations};
  for (int i = 0; i < 2; i++) {
    both[i].kept_bytes = 0.0;
    esp_cost_add(cost, &both[i]);
  }
}

/* On its data, which is open already where the repair reads it. */
static int list_recovery(const plan_job *plan, plan_phase *phases) {
  const esp_train_cost *training = &plan->recovery;
  if (training->sizes.steps == 0) return 0;
  esp_cost *cost =
      begin(phases, "recover", esp_prune_packed_bytes(plan->sketch) + training->data_bytes);
  if (!plan_holds_samples(plan)) esp_cost_send(cost, plan->ranks, ESP_BCAST, training->data_bytes);
  plan_add_training(training, cost);
  return 1;
}

/* As if on the samples that were measured: without any its sizes are not known. */
static int list_eval(const plan_job *plan, plan_phase *phases) {
  const esp_shard_shape *samples = &plan->samples.shard;
  if (samples->rows == 0) return 0;
  *phases = (plan_phase){.name = "eval", .is_apart = true};
  esp_cost_hold(&phases->cost, samples->held_bytes);
  esp_eval_add_speed_cost(plan->request->dense, (double)samples->batch_rows, &phases->cost);
  return 1;
}

int plan_list_phases(const plan_job *plan, plan_phase phases[ESP_PLAN_PHASES]) {
  const double held = held_bytes(plan);
  int n = list_collection(plan, phases);
  n += list_selection(plan, held, phases + n);
  if (plan->sketch->tries) add_trials(plan, begin(&phases[n++], "trial", held));
  esp_cost *cost = begin(&phases[n++], "repair", held);
  add_repair(plan, cost);
  phases[n - 1].needed = plan_need_repair(plan);
  const double kept = fmax(cost->kept_bytes, plan->recovery.values_bytes);
  n += list_recovery(plan, phases + n);
  add_write(plan, begin(&phases[n++], "write", kept));
  return n + list_eval(plan, phases + n);
}

void plan_add_opening_cost(const plan_job *plan, esp_cost *cost) {
  esp_model_add_open_cost(plan->request->dense, plan->ranks, cost);
  if (plan_holds_samples(plan)) add_data(plan_samples_of_repair(plan), cost);
}
