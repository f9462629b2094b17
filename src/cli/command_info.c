#include "commands.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/model/family.h"
#include "espalier/select/allocation.h"
#include "espalier/select/criterion.h"
#include "espalier/surgery/repair.h"

#include <inttypes.h>
#include <string.h>

static void append_width(const esp_model *model, json_t *sites) {
  const esp_width *width = &model->width;
  int64_t parameters = 0;
  if (width->units == 0) return;
  for (int s = 0; s < width->n_slices; s++)
    parameters += esp_weight_count(&model->weights[width->slices[s].weight]);
  json_array_append_new(sites,
                        esp_json_pack("{s:s, s:s, s:I, s:I, s:I}", "site", ESP_SITE_WIDTH, "kind",
                                      ESP_SITE_WIDTH, "units", (json_int_t)width->units, "width",
                                      (json_int_t)1, "parameters", (json_int_t)parameters));
}

/* Elements at one index of an axis. */
static int64_t count_others(const esp_weight *weight, int axis) {
  int64_t count = 1;
  for (int a = 0; a < weight->rank; a++) count *= a == axis ? 1 : weight->shape[a];
  return count;
}

static json_t *describe_sites(const esp_model *model) {
  json_t *sites = json_array();
  for (int i = 0; i < model->n_stages; i++) {
    const esp_stage *stage = &model->stages[i];
    int64_t parameters = 0; // of one unit
    for (int s = 0; s < stage->n_producers + stage->n_consumers; s++) {
      const esp_slice *slice =
          s < stage->n_producers ? &stage->producers[s] : &stage->consumers[s - stage->n_producers];
      parameters += count_others(&model->weights[slice->weight], slice->axis) * slice->width;
    }
    json_array_append_new(
        sites, esp_json_pack("{s:s, s:s, s:I, s:I, s:I}", "site", stage->name, "kind", stage->kind,
                             "units", (json_int_t)stage->units, "width", (json_int_t)stage->width,
                             "parameters", (json_int_t)(parameters * stage->units)));
  }
  append_width(model, sites);
  return sites;
}

static json_t *describe_weights(const esp_model *model) {
  json_t *weights = json_array();
  for (int i = 0; i < model->n_weights; i++) {
    const esp_weight *weight = &model->weights[i];
    json_t *shape = json_array();
    for (int axis = 0; axis < weight->rank; axis++)
      json_array_append_new(shape, json_integer(weight->shape[axis]));
    json_array_append_new(weights, esp_json_pack("{s:s, s:s, s:o}", "name", weight->name, "type",
                                                 esp_dtype_name(weight->type), "shape", shape));
  }
  return weights;
}

static int64_t get_int(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static const char *get_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static void print_model(const command_input *input, const esp_model *model, const json_t *sites) {
  size_t i;
  json_t *site;
  print_result(input, "%s: family %s (%s)\n", model->path, model->family->name,
               model->family->summary);
  print_result(input, "parameters %" PRId64 ", of prunable matrices %" PRId64 "\n\n",
               esp_model_count_parameters(model), esp_model_count_prunable(model));
  print_result(input, "%-20s %-10s %8s %6s %12s\n", "site", "kind", "units", "width", "parameters");
  json_array_foreach(sites, i, site)
      print_result(input, "%-20s %-10s %8" PRId64 " %6" PRId64 " %12" PRId64 "\n",
                   get_text(site, "site"), get_text(site, "kind"), get_int(site, "units"),
                   get_int(site, "width"), get_int(site, "parameters"));
}

/* The width has no information of its own: its readers have. */
static void print_kept(const command_input *input, const json_t *site) {
  print_result(input, "%-20s %8" PRId64 " %8" PRId64, get_text(site, "site"), get_int(site, "kept"),
               get_int(site, "units"));
  if (json_object_get(site, "information_kept"))
    print_result(input, " %17.1f%% %12.2g\n",
                 100.0 * json_real_value(json_object_get(site, "information_kept")),
                 json_real_value(json_object_get(site, "null_level_nats")));
  else
    print_result(input, " %18s %12s\n", "-", "-");
}

static void print_policy(const command_input *input, const json_t *policy) {
  size_t i;
  json_t *part;
  const json_t *asked = json_object_get(policy, "sparsity_asked");
  const bool is_frozen = json_is_true(json_object_get(policy, "is_frozen"));
  print_result(input, "\n%s while it trained by %s, %s: ", is_frozen ? "frozen" : "pruned",
               get_text(policy, "name"), get_text(policy, "granularity"));
  if (asked) print_result(input, "asked %.3f, ", json_real_value(asked));
  print_result(input, "got %.3f\n", json_real_value(json_object_get(policy, "sparsity")));
  json_array_foreach(json_object_get(policy, "parts"), i, part)
      print_result(input, "%-40s %10lld of %10lld\n", get_text(part, "name"),
                   (long long)json_integer_value(json_object_get(part, "live")),
                   (long long)json_integer_value(json_object_get(part, "count")));
}

static void print_pruning(const command_input *input, const json_t *report) {
  const json_t *policy = json_object_get(json_object_get(report, "training"), "policy");
  size_t i;
  json_t *site;
  if (policy) print_policy(input, policy);
  if (!json_object_get(report, "criterion")) return;
  print_result(input, "\npruned by %s, repair %s: asked %.3f, got %.3f of prunable parameters\n",
               get_text(report, "criterion"), get_text(report, "repair"),
               json_real_value(json_object_get(report, "sparsity_asked")),
               json_real_value(json_object_get(report, "sparsity_prunable")));
  print_result(input, "%-20s %8s %8s %18s %12s\n", "site", "kept", "of", "information kept",
               "null, nats");
  json_array_foreach(json_object_get(report, "sites"), i, site) print_kept(input, site);
  print_result(input, "selection checksum: %s\n", get_text(report, "selection_checksum"));
}

/* The choices of an option that has no table of its own. */
static void print_choices(const command_input *input, const char *title, const char *key) {
  for (int i = 0; i < esp_settings_table()->count; i++) {
    const esp_option *row = &esp_settings_table()->rows[i];
    if (strcmp(row->key, key) == 0)
      print_result(input, "%s:\n  %-18s %s\n", title, row->choices, row->help);
  }
}

static void print_known(const command_input *input) {
  print_result(input, "families:\n");
  for (const esp_family *const *row = esp_families; *row; row++)
    print_result(input, "  %-18s %s\n", (*row)->name, (*row)->summary);
  print_result(input, "criteria:\n");
  for (const esp_criterion *const *row = esp_criteria; *row; row++)
    print_result(input, "  %-18s %s\n", (*row)->name, (*row)->summary);
  print_choices(input, "metrics", "prune.metric");
  print_choices(input, "uppers", "prune.upper");
  print_result(input, "allocations:\n");
  for (const esp_allocation *const *row = esp_allocations; *row; row++)
    print_result(input, "  %-18s %s\n", (*row)->name, (*row)->summary);
  print_result(input, "repairs:\n");
  for (const esp_repair *const *row = esp_repairs; *row; row++)
    print_result(input, "  %-18s %s\n", (*row)->name, (*row)->summary);
}

static esp_status run(const command_input *input, json_t **result) {
  if (input->n_arguments == 0) {
    print_known(input);
    return ESP_OK;
  }
  esp_model *model = NULL;
  ESP_TRY(esp_model_open_ignoring(input->comm, input->arguments[0],
                                  input->settings->run.ignore_tensors, &model));
  json_t *report = model->details ? json_loads(model->details, 0, NULL) : NULL;
  *result = esp_json_pack(
      "{s:o, s:s, s:I, s:I, s:o, s:o, s:O?}", "model", esp_json_text(model->path), "family",
      model->family->name, "parameters", (json_int_t)esp_model_count_parameters(model),
      "parameters_prunable", (json_int_t)esp_model_count_prunable(model), "sites",
      describe_sites(model), "weights", describe_weights(model), "pruning", report);
  print_model(input, model, json_object_get(*result, "sites"));
  if (report) print_pruning(input, report);
  json_decref(report);
  esp_model_free(&model);
  return ESP_OK;
}

const command command_info = {.name = "info",
                              .usage = "info [MODEL]",
                              .summary = "sites, sizes and what was kept; alone: families, "
                                         "criteria, metrics, uppers, allocations, repairs",
                              .bit = ESP_FOR_INFO,
                              .most = 1,
                              .run = run};
