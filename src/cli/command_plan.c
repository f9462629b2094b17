#include "commands.h"

#include "espalier/comm/traffic.h"
#include "espalier/plan/plan.h"

#include <inttypes.h>
#include <string.h>

static double to_mib(double bytes) {
  return bytes / 0x1p20;
}

static void print_sizes(const command_input *input, const esp_plan_sizes *sizes) {
  print_result(input, "%d ranks (%d a node): ", sizes->ranks, sizes->ranks_per_node);
  if (sizes->rows > 0)
    print_result(input,
                 "%" PRId64 " samples, %" PRId64 " rows, %" PRId64 " micro-batches, %" PRId64
                 " a rank at most; ",
                 sizes->samples, sizes->rows, sizes->n_batches, sizes->share);
  else
    print_result(input, "nothing is measured; ");
  print_result(input, "parameters %" PRId64 " of %" PRId64 "\n", sizes->pruned, sizes->dense);
}

static void print_sites(const command_input *input, const esp_plan_report *report) {
  bool has_provisional = false;
  print_result(input, "\n%-20s %8s %8s %14s\n", "site", "units", "kept", "a multiple of");
  for (int i = 0; i < report->n_sites; i++) {
    const esp_plan_site *site = &report->sites[i];
    print_result(input, "%-20s %8" PRId64 " %8" PRId64 " %14" PRId64, site->name, site->units,
                 site->kept, site->multiple);
    if (site->groups > 1)
      print_result(input, "  %" PRId64 " of each of %" PRId64 " groups", site->kept / site->groups,
                   site->groups);
    print_result(input, site->is_provisional ? "  provisional\n" : "\n");
    has_provisional |= site->is_provisional;
  }
  if (has_provisional)
    print_result(input, "provisional: sites share --sparsity, and the run finds out how; at these "
                        "counts as many parameters go\n");
}

static void print_phase(const command_input *input, const esp_plan_phase *phase) {
  const esp_work *work = &phase->work;
  print_result(input, "%-20s %12.1f", phase->name, to_mib(phase->bytes));
  if (!phase->is_apart)
    print_result(input, " %12.1f %14.1f %10.1f", (work->flops + work->solver + work->serial) / 1e9,
                 work->words / 1e9, phase->time_s);
  print_result(input, "\n");
}

static void print_phases(const command_input *input, const esp_plan_report *report) {
  const esp_plan_memory *memory = &report->memory;
  print_result(input, "\n%-20s %12s %12s %14s %10s\n", "phase", "MiB a rank", "GFLOP", "G word ops",
               "s");
  for (int i = 0; i < report->n_phases; i++) print_phase(input, &report->phases[i]);
  print_result(input, "%-20s %12.1f %12s %14s %10.1f\n", "largest, sum", to_mib(memory->peak), "",
               "", report->time_s);
  print_result(
      input, "of which programs and libraries %.1f MiB, data set %.1f MiB; limit %.0f MiB (%s)\n",
      to_mib(memory->base), to_mib(memory->data), to_mib(memory->limit), memory->limit_from);
}

/* Only phases whose operations have been counted by hand. */
static void print_needed(const command_input *input, const esp_plan_report *report) {
  bool has_heading = false;
  for (int i = 0; i < report->n_phases; i++) {
    const esp_plan_phase *phase = &report->phases[i];
    if (phase->needed <= 0.0 || phase->is_apart) continue;
    if (!has_heading)
      print_result(input, "\n%-20s %12s %14s %10s\n", "1e9 operations", "executed", "needed",
                   "ratio");
    has_heading = true;
    print_result(input, "%-20s %12.2f %14.2f %10.2f\n", phase->name, phase->executed / 1e9,
                 phase->needed / 1e9, phase->executed / phase->needed);
  }
}

static void print_reduce(const command_input *input, const esp_plan_reduce *reduce) {
  print_result(input,
               "joint counts: allreduce %.2f MiB, %.2f s; exchange %.2f MiB, %.2f s; %s is cheaper "
               "here, and %.0f of %.0f sweeps exchange\n",
               to_mib(reduce->allreduce_bytes), reduce->allreduce_s, to_mib(reduce->exchange_bytes),
               reduce->exchange_s,
               reduce->exchange_s < reduce->allreduce_s ? "exchange" : "allreduce",
               reduce->by_exchange, reduce->sweeps);
}

static void print_traffic(const command_input *input, const esp_plan_report *report) {
  print_result(input, "\n%-20s %12s\n", "traffic", "MiB a rank");
  for (int i = 0; i < ESP_N_PLANNED; i++)
    if (report->traffic[i] > 0.0)
      print_result(input, "%-20s %12.2f\n", esp_collective_name((esp_collective)i),
                   to_mib(report->traffic[i]));
  if (report->reduce.sweeps > 0.0) print_reduce(input, &report->reduce);
}

static void print_files(const command_input *input, const esp_plan_report *report) {
  print_result(input, "\n%-20s %12s\n", "files", "MiB");
  if (report->statistics_bytes >= 0.0)
    print_result(input, "%-20s %12.2f\n",
                 input->settings->prune.keep_stats ? "statistics" : "statistics, removed",
                 to_mib(report->statistics_bytes));
  print_result(input, "%-20s %12.2f\n", report->n_sites > 0 ? "pruned" : "trained",
               to_mib(report->pruned_bytes));
  if (report->checkpoint_bytes > 0.0)
    print_result(input, "%-20s %12.2f\n", "checkpoint", to_mib(report->checkpoint_bytes));
}

static void print_training(const command_input *input, const esp_plan_report *report) {
  const esp_train_sizes *training = &report->training;
  if (report->n_sites == 0)
    print_result(input, "%d ranks (%d a node): ", report->sizes.ranks,
                 report->sizes.ranks_per_node);
  else
    print_result(input, "\nrecover: ");
  print_result(input,
               "%" PRId64 " samples train, %" PRId64 " are held out; %" PRId64 " steps of %" PRId64
               " micro-batches, %" PRId64 " a rank at most; %" PRId64 " evaluations; %" PRId64
               " of %" PRId64 " parameters train\n",
               training->samples, training->held_out, training->steps, training->micro_batches,
               training->share, training->evaluations, training->trainable, training->parameters);
}

static void print_report(const command_input *input, const esp_plan_report *report) {
  if (report->n_sites > 0) print_sizes(input, &report->sizes);
  if (report->n_sites > 0) print_budget(input, report->budget);
  if (report->n_sites > 0) print_sites(input, report);
  if (report->training.steps > 0) print_training(input, report);
  print_phases(input, report);
  if (report->n_sites > 0) print_needed(input, report);
  print_traffic(input, report);
  print_files(input, report);
}

static esp_status plan_prune(const command_input *input, esp_plan_report *report) {
  const esp_prune_settings settings = settings_of_prune(input->settings);
  if (input->n_arguments > 0)
    return esp_plan(input->comm, &settings, &input->settings->plan, input->arguments[0], report);
  return esp_fail(ESP_USAGE, "plan: expected a model, found none; give MODEL, or for a new "
                             "perceptron --job train");
}

static esp_status plan_train(const command_input *input, esp_plan_report *report) {
  const esp_train_settings settings = settings_of_train(input->settings);
  const esp_plan_options *options = &input->settings->plan;
  const bool recovers = strcmp(options->job, "recover") == 0;
  if (recovers && input->n_arguments == 0)
    return esp_fail(ESP_USAGE, "plan: expected a pruned model to recover, found none; give "
                               "PRUNED.h5");
  return esp_plan_train(input->comm, &settings, recovers ? ESP_TRAIN_RECOVER : ESP_TRAIN_GIVEN,
                        options, input->n_arguments > 0 ? input->arguments[0] : NULL, report);
}

static esp_status run(const command_input *input, json_t **result) {
  const bool prunes = strcmp(input->settings->plan.job, "prune") == 0;
  esp_plan_report report;
  ESP_TRY(prunes ? plan_prune(input, &report) : plan_train(input, &report));
  print_report(input, &report);
  *result = esp_plan_report_dump(&report);
  const esp_status status = esp_agree(input->comm, esp_plan_check(&report));
  esp_plan_report_clear(&report);
  return status;
}

const command command_plan = {
    .name = "plan",
    .usage = "plan MODEL --ranks N [--data PATH | --stats FILE] [--job COMMAND]",
    .summary = "memory, traffic, time and files of a prune or a training, before it runs",
    .bit = ESP_FOR_PLAN,
    .least = 0,
    .most = 1,
    .run = run};
