#include "commands.h"

#include "espalier/pipeline/plan.h"

#include <inttypes.h>
#include <string.h>

static double get(const json_t *object, const char *key) {
  return json_number_value(json_object_get(object, key));
}

static void print_sites(const command_input *input, const json_t *report) {
  size_t i;
  json_t *site;
  print_result(input, "\n%-20s %8s %8s %14s\n", "site", "units", "kept", "a multiple of");
  json_array_foreach(json_object_get(report, "sites"), i, site) {
    const double groups = get(site, "groups");
    print_result(input, "%-20s %8.0f %8.0f %14.0f",
                 json_string_value(json_object_get(site, "site")), get(site, "units"),
                 get(site, "kept"), get(site, "multiple"));
    if (groups > 1)
      print_result(input, "  %.0f of each of %.0f groups", get(site, "kept") / groups, groups);
    print_result(input, "\n");
  }
}

static void print_phases(const command_input *input, const json_t *report) {
  const json_t *memory = json_object_get(report, "memory"),
               *time = json_object_get(report, "time_s");
  const json_t *work = json_object_get(report, "work");
  const char *name;
  json_t *bytes;
  print_result(input, "\n%-20s %12s %12s %14s %10s\n", "phase", "MiB a rank", "GFLOP", "G word ops",
               "s");
  json_object_foreach(json_object_get(memory, "phases"), name, bytes) {
    const json_t *of = json_object_get(work, name);
    print_result(input, "%-20s %12.1f", name, json_number_value(bytes) / 0x1p20);
    if (of)
      print_result(input, " %12.1f %14.1f %10.1f", get(of, "flops") / 1e9,
                   get(of, "word_operations") / 1e9, get(time, name));
    print_result(input, "\n");
  }
  print_result(input, "%-20s %12.1f %12s %14s %10.1f\n", "largest, sum",
               get(memory, "peak_bytes") / 0x1p20, "", "", get(time, "all"));
  print_result(input,
               "of which programs and libraries %.1f MiB, data set %.1f MiB; limit %.0f MiB (%s)\n",
               get(memory, "base_bytes") / 0x1p20, get(memory, "data_bytes") / 0x1p20,
               get(memory, "limit_bytes") / 0x1p20,
               json_string_value(json_object_get(memory, "limit_from")));
}

static void print_traffic(const command_input *input, const json_t *report) {
  const json_t *reduce = json_object_get(report, "reduce");
  const char *name;
  json_t *of;
  print_result(input, "\n%-20s %12s\n", "traffic", "MiB a rank");
  json_object_foreach(json_object_get(report, "traffic"), name, of)
      print_result(input, "%-20s %12.2f\n", name, get(of, "bytes") / 0x1p20);
  print_result(input,
               "joint counts: allreduce %.2f MiB, %.2f s; exchange %.2f MiB, %.2f s; %s is cheaper "
               "here, and %.0f of %.0f sweeps exchange\n",
               get(reduce, "allreduce_bytes") / 0x1p20, get(reduce, "allreduce_s"),
               get(reduce, "exchange_bytes") / 0x1p20, get(reduce, "exchange_s"),
               json_string_value(json_object_get(reduce, "cheaper")), get(reduce, "by_exchange"),
               get(reduce, "sweeps"));
}

static void print_report(const command_input *input, const json_t *report) {
  const char *name;
  json_t *bytes;
  print_result(input,
               "%.0f ranks (%.0f a node): %.0f samples, %.0f rows, %.0f micro-batches, %.0f a rank "
               "at most; parameters %.0f of %.0f\n",
               get(report, "ranks"), get(report, "ranks_per_node"), get(report, "samples"),
               get(report, "rows"), get(report, "micro_batches"),
               get(report, "micro_batches_a_rank"), get(report, "parameters"),
               get(report, "parameters_dense"));
  print_sites(input, report);
  print_phases(input, report);
  print_traffic(input, report);
  print_result(input, "\n%-20s %12s\n", "files", "MiB");
  json_object_foreach(json_object_get(report, "files"), name, bytes) print_result(
      input, "%-20s %12.2f\n", strcmp(name, "pruned_bytes") == 0 ? "pruned" : "statistics",
      json_number_value(bytes) / 0x1p20);
}

static esp_status run(const command_input *input, json_t **result) {
  ESP_TRY(esp_plan(input->comm, input->settings, input->arguments[0], result));
  print_report(input, *result);
  return esp_agree(input->comm, esp_plan_check(*result));
}

const command command_plan = {.name = "plan",
                              .usage = "plan MODEL --ranks N (--data PATH | --stats FILE)",
                              .summary =
                                  "memory, traffic, time and files of a prune, before it runs",
                              .bit = ESP_FOR_PLAN,
                              .least = 1,
                              .most = 1,
                              .run = run};
