/* Costs as members of a plan's report. */
#include "plan.h"

#include "espalier/collect/cost.h"
#include "espalier/comm/traffic.h"
#include "espalier/io/cost.h"
#include "espalier/model/cost.h"

static const double DATASET_S = 2e-4; // made in a parallel HDF5 file (measured)

/* A job's phases, and what it does before them. */
typedef struct costs {
  int n;
  plan_phase phases[PLAN_PHASES];
  esp_cost opening;
} costs;

static json_t *describe_memory(const plan_job *plan, const costs *self) {
  const double base = plan->machine.base_bytes;
  double peak = 0.0;
  char from[64];
  const char *worst = "";
  json_t *phases = json_object();
  for (int i = 0; i < self->n; i++) {
    const plan_phase *phase = &self->phases[i];
    const double bytes = base + phase->cost.peak_bytes;
    json_object_set_new(phases, phase->name, json_real(bytes));
    if (phase->is_apart || bytes <= peak) continue;
    peak = bytes;
    worst = phase->name;
  }
  const double limit = plan_memory_limit(plan, from, sizeof from);
  return json_pack("{s:o, s:f, s:f, s:f, s:s, s:f, s:s}", "phases", phases, "base_bytes", base,
                   "data_bytes", plan->samples.shard.held_bytes, "peak_bytes", peak, "peak_phase",
                   worst, "limit_bytes", limit, "limit_from", from);
}

static json_t *describe_traffic(const costs *self) {
  esp_cost all = self->opening;
  json_t *traffic = json_object();
  for (int i = 0; i < self->n; i++) esp_cost_add(&all, &self->phases[i].cost);
  for (int i = 0; i < ESP_N_PLANNED; i++)
    json_object_set_new(traffic, esp_collective_name((esp_collective)i),
                        json_pack("{s:I}", "bytes", (json_int_t)all.traffic[i]));
  return traffic;
}

static json_t *describe_work(const costs *self) {
  json_t *all = json_object();
  for (int i = 0; i < self->n; i++) {
    const esp_work *work = &self->phases[i].cost.work;
    if (self->phases[i].is_apart) continue;
    json_object_set_new(all, self->phases[i].name,
                        json_pack("{s:f, s:f, s:f}", "flops",
                                  work->flops + work->solver + work->serial, "word_operations",
                                  work->words, "elementwise", work->values + work->every));
  }
  return all;
}

static double seconds(const plan_job *plan, const esp_work *self) {
  const plan_machine *machine = &plan->machine;
  const double reduce = machine->reduce_bytes_per_s > 0.0 ? machine->reduce_bytes_per_s
                                                          : machine->copy_bytes_per_s / 4.0;
  return self->flops / plan->ranks / machine->flops_per_s +
         (self->solver / plan->ranks + self->serial) / machine->solver_flops_per_s +
         self->solves * machine->solve_s + self->datasets * DATASET_S +
         (self->values / plan->ranks + self->every) / machine->values_per_s +
         self->words / machine->words_per_s + self->bytes / machine->copy_bytes_per_s +
         (plan->ranks > 1 ? self->reduced / reduce : 0.0);
}

static json_t *describe_time(const plan_job *plan, const costs *self) {
  json_t *all = json_object();
  double sum = 0.0;
  for (int i = 0; i < self->n; i++) {
    const double phase_s = seconds(plan, &self->phases[i].cost.work);
    if (self->phases[i].is_apart) continue;
    json_object_set_new(all, self->phases[i].name, json_real(phase_s));
    sum += phase_s;
  }
  json_object_set_new(all, "all", json_real(sum));
  return all;
}

static void add_ways(const plan_job *plan, const plan_pair *pair, void *ways) {
  plan_add_ways(plan, pair, ways);
}

static json_t *describe_reduce(const plan_job *plan) {
  esp_sweep_ways ways = {0};
  plan_for_each_pair(plan, add_ways, &ways);
  const double allreduce_s = seconds(plan, &ways.allreduce);
  const double exchange_s = seconds(plan, &ways.exchange);
  return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:s}", "sweeps", (json_int_t)ways.sweeps,
                   "by_exchange", (json_int_t)ways.exchanges, "allreduce_bytes",
                   ways.allreduce_bytes, "exchange_bytes", ways.exchange_bytes, "allreduce_s",
                   allreduce_s, "exchange_s", exchange_s, "cheaper",
                   exchange_s < allreduce_s ? "exchange" : "allreduce");
}

/* Beside the model (measured, HDF5's own headers included): /config, /report and /meta without
 * sites; a site in the report, its repair included; a doubling of the samples. */
static double report_bytes(const plan_job *plan) {
  enum { REPORT = 3700, SITE = 1480, STEP = 80 };
  const double steps = plan->doublings > 0 ? (double)(plan->doublings + 1) : 0.0;
  const double sites = drops_layers(&plan->job) ? 0.0 : (double)plan->job.dense->n_stages;
  return REPORT + SITE * sites + STEP * steps;
}

/* /kept and /scores of a site. */
static double site_bytes(int64_t kept, int64_t units) {
  return 2.0 * ESP_H5_OBJECT_BYTES + sizeof(int64_t) * (double)kept +
         sizeof(double) * (double)units;
}

static double selection_bytes(const plan_job *plan) {
  const esp_model *dense = plan->job.dense;
  const int64_t *n_kept = plan->job.selection.n_kept;
  double sum = 0.0;
  if (drops_layers(&plan->job))
    return site_bytes(plan->job.layers.n_kept, esp_model_count_layers(dense));
  for (int s = 0; s < dense->n_stages; s++) sum += site_bytes(n_kept[s], dense->stages[s].units);
  if (has_width(&plan->job)) sum += site_bytes(n_kept[dense->n_stages], dense->width.units);
  return sum;
}

static json_t *describe_files(const plan_job *plan) {
  const double statistics =
      plan->collects ? esp_collect_file_bytes(plan->job.dense, &plan->collect, &plan->samples.shard)
                     : 0.0;
  const double pruned =
      report_bytes(plan) + esp_model_file_bytes(plan->job.pruned) + selection_bytes(plan);
  json_t *files = json_object();
  if (plan->collects)
    json_object_set_new(files, "statistics_bytes", json_integer((json_int_t)statistics));
  json_object_set_new(files, "pruned_bytes", json_integer((json_int_t)pruned));
  return files;
}

void plan_report_costs(const plan_job *plan, json_t *report) {
  costs self = {0};
  self.n = plan_list_phases(plan, self.phases);
  plan_add_opening_cost(plan, &self.opening);
  json_object_set_new(report, "memory", describe_memory(plan, &self));
  json_object_set_new(report, "traffic", describe_traffic(&self));
  json_object_set_new(report, "reduce", describe_reduce(plan));
  json_object_set_new(report, "work", describe_work(&self));
  json_object_set_new(report, "files", describe_files(plan));
  json_object_set_new(report, "time_s", describe_time(plan, &self));
}
