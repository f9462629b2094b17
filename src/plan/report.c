/* The report of a plan, from the costs of its phases. */
#include "plan_job.h"

#include "espalier/collect/cost.h"
#include "espalier/core/memory.h"
#include "espalier/model/cost.h"

#include <stdio.h>

static const double DATASET_S = 2e-4; // made in a parallel HDF5 file (measured)

/* The largest power of two that divides what a site keeps: kernels like 8 and more. */
static int64_t find_multiple(int64_t n) {
  return n > 0 ? n & -n : 0;
}

static void name_site(esp_plan_site *self, const char *name, const char *kind) {
  snprintf(self->name, sizeof self->name, "%s", name);
  snprintf(self->kind, sizeof self->kind, "%s", kind);
}

static void fill_layers(const plan_job *plan, esp_plan_report *report) {
  const int64_t layers = esp_model_count_layers(plan->request->dense);
  const int64_t kept = plan->sketch->n_layers;
  report->n_sites = 1;
  report->sites = ESP_NEW(esp_plan_site, 1);
  *report->sites =
      (esp_plan_site){.units = layers, .kept = kept, .multiple = find_multiple(kept), .groups = 1};
  name_site(report->sites, ESP_SITE_BLOCK, ESP_SITE_BLOCK);
}

/* Shared out with other sites by what shows only as it goes. */
static bool is_provisional(const plan_job *plan, int stage) {
  return plan->sketch->is_priced && plan->request->sparsity[stage] >= 0.0 &&
         !plan->request->is_fixed[stage];
}

static void fill_sites(const plan_job *plan, esp_plan_report *report) {
  const esp_model *dense = plan->request->dense;
  report->n_sites = dense->n_stages;
  report->sites = ESP_NEW(esp_plan_site, dense->n_stages);
  for (int s = 0; s < dense->n_stages; s++) {
    const esp_stage *site = &dense->stages[s];
    const int64_t kept = plan->sketch->selection.n_kept[s];
    report->sites[s] =
        (esp_plan_site){.units = site->units,
                        .kept = kept,
                        .multiple = find_multiple(kept * site->width),
                        .groups = site->per_group > 1 ? site->units / site->per_group : 1,
                        .is_provisional = is_provisional(plan, s)};
    name_site(&report->sites[s], site->name, site->kind);
  }
}

static void fill_sizes(const plan_job *plan, esp_plan_sizes *sizes) {
  const esp_shard_shape *shard = &plan->samples.shard;
  *sizes = (esp_plan_sizes){.ranks = plan->ranks,
                            .ranks_per_node = plan->ranks_per_node,
                            .samples = shard->samples,
                            .rows = shard->rows,
                            .n_batches = shard->n_batches,
                            .share = shard->share,
                            .doublings = plan->doublings,
                            .dense = esp_model_count_parameters(plan->request->dense),
                            .pruned = esp_model_count_parameters(plan->sketch->pruned)};
}

static double seconds(const plan_job *plan, const esp_plan_machine *machine, const esp_work *self) {
  const double reduce = machine->reduce_bytes_per_s > 0.0 ? machine->reduce_bytes_per_s
                                                          : machine->copy_bytes_per_s / 4.0;
  return self->flops / plan->ranks / machine->flops_per_s +
         (self->solver / plan->ranks + self->serial) / machine->solver_flops_per_s +
         self->solves * machine->solve_s + self->datasets * DATASET_S +
         (self->values / plan->ranks + self->every) / machine->values_per_s +
         self->words / machine->words_per_s + self->bytes / machine->copy_bytes_per_s +
         (plan->ranks > 1 ? self->reduced / reduce : 0.0);
}

/* By all ranks; those that wait for the busiest one might as well compute. */
static double count_executed(const plan_job *plan, const esp_work *work) {
  return work->flops + work->solver + plan->ranks * (work->serial + work->words);
}

static void fill_phase(const plan_job *plan, const plan_phase *phase, int at,
                       esp_plan_report *report) {
  esp_plan_memory *memory = &report->memory;
  const double bytes = memory->base + phase->cost.peak_bytes;
  const double time_s = seconds(plan, &report->machine, &phase->cost.work);
  report->phases[at] = (esp_plan_phase){.name = phase->name,
                                        .is_apart = phase->is_apart,
                                        .bytes = bytes,
                                        .work = phase->cost.work,
                                        .executed = count_executed(plan, &phase->cost.work),
                                        .needed = phase->needed,
                                        .time_s = time_s};
  if (phase->is_apart) return;
  report->time_s += time_s;
  if (bytes <= memory->peak) return;
  memory->peak = bytes;
  memory->peak_phase = phase->name;
}

/* Whether something solves, or ranks by double precision. */
static bool has_solver(const plan_job *plan, const plan_phases *phases) {
  if (plan->sketch && esp_prune_packed_bytes(plan->sketch) > 0.0) return true;
  for (int i = 0; i < phases->n; i++)
    if (phases->rows[i].cost.work.solves > 0.0) return true;
  return false;
}

void plan_fill_phases(const plan_job *plan, const plan_phases *phases, esp_plan_report *report) {
  esp_cost all = phases->opening;
  report->n_phases = phases->n;
  if (!has_solver(plan, phases)) report->memory.base -= report->machine.solver_bytes;
  for (int i = 0; i < phases->n; i++) {
    fill_phase(plan, &phases->rows[i], i, report);
    esp_cost_add(&all, &phases->rows[i].cost);
  }
  for (int i = 0; i < ESP_N_PLANNED; i++) report->traffic[i] = all.traffic[i];
  plan_find_limit(plan, &report->memory);
}

static void fill_costs(const plan_job *plan, esp_plan_report *report) {
  plan_phase rows[ESP_PLAN_PHASES];
  plan_phases phases = {.rows = rows, .n = plan_list_phases(plan, rows)};
  plan_add_opening_cost(plan, &phases.opening);
  report->memory.data = plan->samples.shard.held_bytes;
  plan_fill_phases(plan, &phases, report);
}

static void fill_reduce(const plan_job *plan, esp_plan_report *report) {
  esp_sweep_ways ways = {0};
  esp_prune_add_ways(plan->sketch, &plan->samples.stats[ESP_WHOLE], &ways);
  report->reduce = (esp_plan_reduce){ways.sweeps,
                                     ways.exchanges,
                                     ways.allreduce_bytes,
                                     ways.exchange_bytes,
                                     seconds(plan, &report->machine, &ways.allreduce),
                                     seconds(plan, &report->machine, &ways.exchange)};
}

static void fill_files(const plan_job *plan, esp_plan_report *report) {
  const esp_prune_sketch *sketch = plan->sketch;
  const int64_t rounds = plan->doublings > 0 ? plan->doublings + 1 : 0;
  report->statistics_bytes = -1.0;
  if (plan->collects)
    report->statistics_bytes =
        esp_collect_file_bytes(plan->request->dense, &sketch->collect, &plan->samples.shard);
  report->checkpoint_bytes = plan->recovery.checkpoint_bytes;
  report->training = plan->recovery.sizes;
  report->pruned_bytes =
      esp_prune_file_bytes(sketch, rounds) + esp_model_file_bytes(sketch->pruned);
}

void plan_fill_report(const plan_job *plan, esp_plan_report *report) {
  fill_sizes(plan, &report->sizes);
  if (plan->sketch->n_layers >= 0)
    fill_layers(plan, report);
  else
    fill_sites(plan, report);
  fill_costs(plan, report);
  fill_reduce(plan, report);
  fill_files(plan, report);
}
