#include "espalier/pipeline/plan.h"
#include "plan.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/select/budget.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BISECTIONS = 20 };

bool plan_has_stability(const plan_job *plan) {
  const unsigned needs = ESP_NEEDS_INFORMATION | ESP_NEEDS_COVARIANCE | ESP_NEEDS_MOMENTS;
  return plan->collect.halves && plan->samples.shard.n_batches > 1 &&
         plan->job.criterion->needs & needs && !is_unstructured(&plan->job) &&
         !drops_layers(&plan->job);
}

bool plan_is_selected(const plan_job *plan, int stage) {
  return plan->job.sparsity[stage] >= 0.0 && !is_unstructured(&plan->job);
}

bool plan_is_cut(const plan_job *plan, int stage) {
  return plan_is_selected(plan, stage) &&
         plan->job.selection.n_kept[stage] < plan->job.dense->stages[stage].units;
}

static esp_status open_model(plan_job *plan, const char *path) {
  prune_job *job = &plan->job;
  ESP_TRY(esp_criterion_find(job->settings->prune.criterion, &job->criterion));
  ESP_TRY(esp_repair_find(job->settings->repair.name, &job->repair));
  ESP_TRY(find_allocation(job));
  ESP_TRY(esp_model_open(plan->comm, path, &job->dense));
  if (strcmp(job->settings->prune.heads, "group") == 0)
    for (int i = 0; i < job->dense->n_stages; i++) esp_stage_merge_groups(&job->dense->stages[i]);
  ESP_TRY(choose_sites(job));
  ESP_TRY(check_structure(job));
  ESP_TRY(check_allocation(job));
  return check_data_free(job);
}

static void keep_width(prune_job *job) {
  const int at = job->dense->n_stages;
  const esp_budget_rule rule = {.sparsity = job->sparsity[at],
                                .multiple_of = job->settings->allocation.multiple_of,
                                .min_keep = job->settings->allocation.min_keep};
  const int64_t n = esp_budget_uniform(&rule, job->dense->width.units);
  job->selection.n_kept[at] = n;
  job->selection.kept[at] = ESP_NEW(int64_t, n);
  for (int64_t i = 0; i < n; i++) job->selection.kept[at][i] = i;
}

/* Masks shrink nothing, but what has one is not read in place. */
static void mask_all(prune_job *job) {
  for (int w = 0; w < job->dense->n_weights; w++)
    if (mask_describe(job, w).sparsity >= 0.0)
      job->pruned->weights[w].mask =
          ESP_NEW(uint8_t, esp_mask_bytes(esp_weight_count(&job->dense->weights[w])));
}

static esp_status drop_layers(prune_job *job) {
  const int64_t n = esp_model_count_layers(job->dense);
  int64_t *order = ESP_NEW(int64_t, n);
  for (int64_t i = 0; i < n; i++) order[i] = i;
  layers_keep(job, order);
  esp_free(&order);
  return esp_model_drop_layers(job->dense, job->layers.kept, job->layers.n_kept, &job->pruned);
}

/* With other sparsities, and what comes of them. */
static esp_status allocate_again(prune_job *job, double sparsity) {
  for (int s = 0; s < job->dense->n_stages; s++)
    if (job->sparsity[s] >= 0.0 && !job->is_fixed[s]) job->sparsity[s] = sparsity;
  esp_free(&job->n_keep);
  json_decref(job->allocated);
  job->allocated = NULL;
  return allocate_units(job);
}

/* How much every site keeps under one threshold shows only when it is ranked: as if all sites lost
 * the same fraction of their units, so that as many parameters go. */
static esp_status allocate_evenly(prune_job *job) {
  double low = 0.0, high = 1.0;
  ESP_TRY(allocate_units(job));
  for (int i = 0; i < BISECTIONS; i++) {
    const double middle = (low + high) / 2.0;
    ESP_TRY(allocate_again(job, middle));
    const double got = json_real_value(json_object_get(job->allocated, "sparsity_chosen_matrices"));
    *(got < job->settings->allocation.sparsity ? &low : &high) = middle;
  }
  return ESP_OK;
}

static void find_dependence(plan_job *plan) {
  plan->depends = ESP_NEW(bool, plan->job.dense->n_stages);
  for (int s = 0; s < plan->job.dense->n_stages; s++)
    plan->depends[s] = evidence_depends_on_selection(&plan->job, s);
}

/* Sizes do not hang on which units are kept: the first ones are. */
static esp_status cut(plan_job *plan) {
  prune_job *job = &plan->job;
  const int n = job->dense->n_stages;
  esp_selection_init(&job->selection, n);
  find_dependence(plan); // before anything is kept
  job->scores = ESP_NEW(double *, n + 1);
  job->order = ESP_NEW(int64_t *, n + 1);
  for (int s = 0; s < n; s++) {
    job->order[s] = ESP_NEW(int64_t, job->dense->stages[s].units);
    for (int64_t u = 0; u < job->dense->stages[s].units; u++) job->order[s][u] = u;
  }
  plan->tries = may_try_counts(job);
  plan->is_priced = job->allocation->needs_scores || plan->tries;
  ESP_TRY(esp_allocation_find("uniform", &job->allocation));
  ESP_TRY(plan->is_priced ? allocate_evenly(job) : allocate_units(job));
  for (int s = 0; s < n; s++)
    if (plan_is_selected(plan, s))
      keep_units(job, s);
    else
      keep_all(job, s);
  if (has_width(job)) keep_width(job);
  if (drops_layers(job)) return drop_layers(job);
  const esp_status status = esp_model_cut(job->dense, &job->selection, &job->pruned);
  if (status == ESP_OK && is_unstructured(job)) mask_all(job);
  return status;
}

/* The largest power of two that divides what a site keeps: kernels like 8 and more. */
static int64_t find_multiple(int64_t n) {
  return n > 0 ? n & -n : 0;
}

static json_t *describe_layers(const plan_job *plan) {
  const int64_t layers = esp_model_count_layers(plan->job.dense), kept = plan->job.layers.n_kept;
  return json_pack("[{s:s, s:s, s:I, s:I, s:I, s:I}]", "site", ESP_SITE_BLOCK, "kind",
                   ESP_SITE_BLOCK, "units", (json_int_t)layers, "kept", (json_int_t)kept,
                   "multiple", (json_int_t)find_multiple(kept), "groups", (json_int_t)1);
}

static json_t *describe_sites(const plan_job *plan) {
  json_t *sites = json_array();
  for (int s = 0; s < plan->job.dense->n_stages; s++) {
    const esp_stage *site = &plan->job.dense->stages[s];
    const int64_t kept = plan->job.selection.n_kept[s];
    json_array_append_new(
        sites, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "site", site->name, "kind", site->kind,
                         "units", (json_int_t)site->units, "kept", (json_int_t)kept, "multiple",
                         (json_int_t)find_multiple(kept * site->width), "groups",
                         (json_int_t)(site->per_group > 1 ? site->units / site->per_group : 1)));
  }
  return sites;
}

static json_t *describe_machine(const plan_machine *machine) {
  return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "flops_per_s", machine->flops_per_s,
                   "words_per_s", machine->words_per_s, "copy_bytes_per_s",
                   machine->copy_bytes_per_s, "reduce_bytes_per_s", machine->reduce_bytes_per_s,
                   "values_per_s", machine->values_per_s, "solver_flops_per_s",
                   machine->solver_flops_per_s, "solve_s", machine->solve_s);
}

static json_t *describe(const plan_job *plan) {
  const esp_shard_shape *shard = &plan->samples.shard;
  json_t *all =
      json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "ranks", plan->ranks, "ranks_per_node",
                plan->ranks_per_node, "samples", (json_int_t)shard->samples, "rows",
                (json_int_t)shard->rows, "micro_batches", (json_int_t)shard->n_batches,
                "micro_batches_a_rank", (json_int_t)shard->share, "parameters_dense",
                (json_int_t)esp_model_count_parameters(plan->job.dense), "parameters",
                (json_int_t)esp_model_count_parameters(plan->job.pruned));
  json_object_set_new(all, "sites",
                      drops_layers(&plan->job) ? describe_layers(plan) : describe_sites(plan));
  if (plan->doublings > 0) json_object_set_new(all, "doublings", json_integer(plan->doublings));
  plan_report_costs(plan, all);
  json_object_set_new(all, "calibration", describe_machine(&plan->machine));
  return all;
}

esp_status esp_plan_check(const json_t *report) {
  const json_t *memory = json_object_get(report, "memory");
  const double peak = json_real_value(json_object_get(memory, "peak_bytes"));
  const double limit = json_real_value(json_object_get(memory, "limit_bytes"));
  const double base = json_real_value(json_object_get(memory, "base_bytes"));
  const double data = json_real_value(json_object_get(memory, "data_bytes"));
  if (limit < 0.0 || peak <= limit) return ESP_OK;
  return esp_fail(
      ESP_USAGE,
      "plan: expected at most %.0f MiB a rank (%s), but %s needs %.0f MiB: programs and "
      "libraries %.0f + data set %.0f + the rest %.0f; use fewer ranks a node, more "
      "ranks in all, or fewer --samples",
      limit / 0x1p20, json_string_value(json_object_get(memory, "limit_from")),
      json_string_value(json_object_get(memory, "peak_phase")), peak / 0x1p20, base / 0x1p20,
      data / 0x1p20, (peak - base - data) / 0x1p20);
}

/* Ranks on a node: asked, or Slurm's, or all. */
static int count_ranks_per_node(const esp_settings *settings, int ranks) {
  const char *slurm = getenv("SLURM_NTASKS_PER_NODE");
  const int64_t told = slurm ? strtol(slurm, NULL, 10) : 0;
  const int64_t asked = settings->plan.ranks_per_node > 0 ? settings->plan.ranks_per_node : told;
  return asked > 0 && asked < ranks ? (int)asked : ranks;
}

static void clear(plan_job *plan) {
  prune_job *job = &plan->job;
  for (int i = 0; job->scores && i <= job->dense->n_stages; i++) esp_free(&job->scores[i]);
  for (int i = 0; job->order && i <= job->dense->n_stages; i++) esp_free(&job->order[i]);
  esp_free(&job->scores);
  esp_free(&job->order);
  esp_free(&job->sparsity);
  esp_free(&job->is_fixed);
  esp_free(&job->n_keep);
  json_decref(job->allocated);
  json_decref(plan->stats.meta);
  if (job->selection.kept) esp_selection_clear(&job->selection);
  layers_clear(job);
  esp_model_free(&job->pruned);
  esp_model_free(&job->dense);
  esp_free(&plan->depends);
  plan_clear_samples(plan);
}

esp_status esp_plan(const esp_comm *comm, const esp_settings *settings, const char *path,
                    json_t **report) {
  const int ranks = settings->plan.ranks > 0 ? (int)settings->plan.ranks : comm->size;
  plan_job plan = {.job.settings = settings,
                   .comm = comm,
                   .ranks = ranks,
                   .ranks_per_node = count_ranks_per_node(settings, ranks)};
  *report = NULL;
  plan.stats.meta = json_pack("{s:I}", ESP_META_FISHER, (json_int_t)1);
  plan.job.stats = &plan.stats; // what is asked of the statistics before there are any
  plan_calibrate(comm, &plan.machine);
  esp_status status = open_model(&plan, path);
  if (status == ESP_OK) status = cut(&plan);
  if (status == ESP_OK) status = plan_read_samples(&plan);
  plan.machine.base_bytes = plan_measure_base(comm);
  if (status == ESP_OK) *report = describe(&plan);
  clear(&plan);
  return status;
}
