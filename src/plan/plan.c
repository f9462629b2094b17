#include "plan_job.h"

#include "espalier/core/memory.h"

#include <stdlib.h>

/* Ranks on a node: asked, or Slurm's, or all. */
static int count_ranks_per_node(const esp_plan_options *options, int ranks) {
  const char *slurm = getenv("SLURM_NTASKS_PER_NODE");
  const int64_t told = slurm ? strtol(slurm, NULL, 10) : 0;
  const int64_t asked = options->ranks_per_node > 0 ? options->ranks_per_node : told;
  return asked > 0 && asked < ranks ? (int)asked : ranks;
}

static plan_job make_plan(const esp_comm *comm, const esp_plan_options *options) {
  const int ranks = options->ranks > 0 ? (int)options->ranks : comm->size;
  return (plan_job){.comm = comm,
                    .options = options,
                    .ranks = ranks,
                    .ranks_per_node = count_ranks_per_node(options, ranks)};
}

static esp_status open_all(plan_job *plan, const esp_prune_settings *settings, const char *path) {
  ESP_TRY(esp_prune_request_open_described(plan->comm, settings, path, &plan->request));
  ESP_TRY(esp_prune_request_settle(plan->comm, plan->request));
  ESP_TRY(esp_prune_sketch_new(plan->request, plan->ranks, &plan->sketch));
  return plan_read_samples(plan);
}

static void clear(plan_job *plan) {
  plan_clear_samples(plan);
  esp_prune_sketch_free(&plan->sketch);
  esp_prune_request_free(&plan->request);
}

static void take_budget(plan_job *plan, esp_plan_report *report) {
  if (plan->request->budget) esp_prune_request_take(plan->request, plan->sketch->pruned);
  report->budget = plan->request->budget;
  plan->request->budget = NULL;
}

esp_status esp_plan(const esp_comm *comm, const esp_prune_settings *settings,
                    const esp_plan_options *options, const char *path, esp_plan_report *report) {
  plan_job plan = make_plan(comm, options);
  *report = (esp_plan_report){0};
  plan_calibrate(comm, &report->machine);
  const esp_status status = open_all(&plan, settings, path);
  report->memory.base = plan_measure_base(comm);
  if (status == ESP_OK) plan_fill_report(&plan, report);
  if (status == ESP_OK) take_budget(&plan, report);
  clear(&plan);
  return status;
}

esp_status esp_plan_train(const esp_comm *comm, const esp_train_settings *settings,
                          esp_train_purpose purpose, const esp_plan_options *options,
                          const char *path, esp_plan_report *report) {
  const plan_job plan = make_plan(comm, options);
  esp_train_cost cost;
  *report = (esp_plan_report){0};
  plan_calibrate(comm, &report->machine);
  ESP_TRY(esp_train_command_cost(comm, settings, purpose, path, plan.ranks, &cost));
  report->memory.base = plan_measure_base(comm);
  plan_fill_training(&plan, &cost, report);
  return ESP_OK;
}

void esp_plan_report_clear(esp_plan_report *self) {
  esp_free(&self->sites);
  esp_free(&self->memory.limit_from);
  esp_budget_free(&self->budget);
}

esp_status esp_plan_check(const esp_plan_report *report) {
  const esp_plan_memory *memory = &report->memory;
  const double rest = memory->peak - memory->base - memory->data;
  if (memory->limit < 0.0 || memory->peak <= memory->limit) return ESP_OK;
  return esp_fail(
      ESP_USAGE,
      "plan: expected at most %.0f MiB a rank (%s), but %s needs %.0f MiB: programs and "
      "libraries %.0f + data set %.0f + the rest %.0f; use fewer ranks a node, more "
      "ranks in all, or %s",
      memory->limit / 0x1p20, memory->limit_from, memory->peak_phase, memory->peak / 0x1p20,
      memory->base / 0x1p20, memory->data / 0x1p20, rest / 0x1p20,
      report->training.steps > 0 && report->n_sites == 0
          ? "a smaller --batch, or fewer weights that are --trainable"
          : "fewer --samples");
}
