/* The report of a plan as JSON. */
#include "espalier/comm/traffic.h"
#include "espalier/core/json.h"
#include "espalier/plan/plan.h"

static json_t *dump_sites(const esp_plan_report *report) {
  json_t *sites = json_array();
  for (int i = 0; i < report->n_sites; i++) {
    const esp_plan_site *site = &report->sites[i];
    json_array_append_new(
        sites,
        esp_json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "site", site->name, "kind", site->kind,
                      "units", (json_int_t)site->units, "kept", (json_int_t)site->kept, "multiple",
                      (json_int_t)site->multiple, "groups", (json_int_t)site->groups, "provisional",
                      (int)site->is_provisional));
  }
  return sites;
}

static json_t *dump_memory(const esp_plan_report *report) {
  const esp_plan_memory *memory = &report->memory;
  json_t *phases = json_object();
  for (int i = 0; i < report->n_phases; i++)
    json_object_set_new(phases, report->phases[i].name, esp_json_real(report->phases[i].bytes));
  return esp_json_pack("{s:o, s:f, s:f, s:f, s:s, s:f, s:s}", "phases", phases, "base_bytes",
                       memory->base, "data_bytes", memory->data, "peak_bytes", memory->peak,
                       "peak_phase", memory->peak_phase, "limit_bytes", memory->limit, "limit_from",
                       memory->limit_from);
}

static json_t *dump_traffic(const esp_plan_report *report) {
  json_t *traffic = json_object();
  for (int i = 0; i < ESP_N_PLANNED; i++)
    json_object_set_new(traffic, esp_collective_name((esp_collective)i),
                        esp_json_pack("{s:I}", "bytes", (json_int_t)report->traffic[i]));
  return traffic;
}

static json_t *dump_reduce(const esp_plan_reduce *self) {
  return esp_json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:s}", "sweeps", (json_int_t)self->sweeps,
                       "by_exchange", (json_int_t)self->by_exchange, "allreduce_bytes",
                       self->allreduce_bytes, "exchange_bytes", self->exchange_bytes, "allreduce_s",
                       self->allreduce_s, "exchange_s", self->exchange_s, "cheaper",
                       self->exchange_s < self->allreduce_s ? "exchange" : "allreduce");
}

static json_t *dump_work(const esp_plan_report *report) {
  json_t *all = json_object();
  for (int i = 0; i < report->n_phases; i++) {
    const esp_work *work = &report->phases[i].work;
    if (report->phases[i].is_apart) continue;
    json_t *phase =
        esp_json_pack("{s:f, s:f, s:f, s:f}", "flops", work->flops + work->solver + work->serial,
                      "word_operations", work->words, "elementwise", work->values + work->every,
                      "executed", report->phases[i].executed);
    if (report->phases[i].needed > 0.0)
      json_object_set_new(phase, "needed", esp_json_real(report->phases[i].needed));
    json_object_set_new(all, report->phases[i].name, phase);
  }
  return all;
}

static json_t *dump_files(const esp_plan_report *report) {
  json_t *files = json_object();
  if (report->statistics_bytes >= 0.0)
    json_object_set_new(files, "statistics_bytes",
                        json_integer((json_int_t)report->statistics_bytes));
  json_object_set_new(files, report->n_sites > 0 ? "pruned_bytes" : "trained_bytes",
                      json_integer((json_int_t)report->pruned_bytes));
  if (report->checkpoint_bytes > 0.0)
    json_object_set_new(files, "checkpoint_bytes",
                        json_integer((json_int_t)report->checkpoint_bytes));
  return files;
}

static json_t *dump_training(const esp_train_sizes *self) {
  return esp_json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "samples", (json_int_t)self->samples,
                       "samples_held_out", (json_int_t)self->held_out, "micro_batches_a_step",
                       (json_int_t)self->micro_batches, "micro_batches_a_rank",
                       (json_int_t)self->share, "steps", (json_int_t)self->steps, "evaluations",
                       (json_int_t)self->evaluations, "parameters_trainable",
                       (json_int_t)self->trainable);
}

static json_t *dump_time(const esp_plan_report *report) {
  json_t *all = json_object();
  for (int i = 0; i < report->n_phases; i++)
    if (!report->phases[i].is_apart)
      json_object_set_new(all, report->phases[i].name, esp_json_real(report->phases[i].time_s));
  json_object_set_new(all, "all", esp_json_real(report->time_s));
  return all;
}

static json_t *dump_machine(const esp_plan_machine *machine) {
  return esp_json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "flops_per_s", machine->flops_per_s,
                       "words_per_s", machine->words_per_s, "copy_bytes_per_s",
                       machine->copy_bytes_per_s, "reduce_bytes_per_s", machine->reduce_bytes_per_s,
                       "values_per_s", machine->values_per_s, "solver_flops_per_s",
                       machine->solver_flops_per_s, "solve_s", machine->solve_s);
}

static json_t *dump_sizes(const esp_plan_sizes *sizes) {
  json_t *all = esp_json_pack("{s:i, s:i, s:I, s:I}", "ranks", sizes->ranks, "ranks_per_node",
                              sizes->ranks_per_node, "parameters_dense", (json_int_t)sizes->dense,
                              "parameters", (json_int_t)sizes->pruned);
  json_t *samples =
      esp_json_pack("{s:I, s:I, s:I, s:I}", "samples", (json_int_t)sizes->samples, "rows",
                    (json_int_t)sizes->rows, "micro_batches", (json_int_t)sizes->n_batches,
                    "micro_batches_a_rank", (json_int_t)sizes->share);
  if (sizes->rows > 0) json_object_update(all, samples);
  json_decref(samples);
  return all;
}

json_t *esp_plan_report_dump(const esp_plan_report *report) {
  const esp_plan_sizes *sizes = &report->sizes;
  json_t *all = dump_sizes(sizes);
  if (report->n_sites > 0) json_object_set_new(all, "sites", dump_sites(report));
  if (report->budget) json_object_set_new(all, "budget", esp_budget_dump(report->budget, false));
  if (report->training.steps > 0)
    json_object_set_new(all, "training", dump_training(&report->training));
  if (sizes->doublings > 0)
    json_object_set_new(all, "doublings", json_integer((json_int_t)sizes->doublings));
  json_object_set_new(all, "memory", dump_memory(report));
  json_object_set_new(all, "traffic", dump_traffic(report));
  if (report->n_sites > 0) json_object_set_new(all, "reduce", dump_reduce(&report->reduce));
  json_object_set_new(all, "work", dump_work(report));
  json_object_set_new(all, "files", dump_files(report));
  json_object_set_new(all, "time_s", dump_time(report));
  json_object_set_new(all, "calibration", dump_machine(&report->machine));
  return all;
}
