#include "commands.h"

#include "espalier/core/interrupt.h"
#include "espalier/pipeline/prune.h"

#include <inttypes.h>

/* A part of 1 in percent, or that it was not measured: the width has no information of its own. */
static void print_part(const command_input *input, const json_t *site, const char *key) {
  const json_t *part = json_object_get(site, key);
  if (part)
    print_result(input, " %16.1f%%", 100.0 * json_real_value(part));
  else
    print_result(input, " %17s", "-");
}

static void print_site(const command_input *input, const json_t *site) {
  print_result(input, "%-20s %8" PRId64 " %8" PRId64,
               json_string_value(json_object_get(site, "site")),
               (int64_t)json_integer_value(json_object_get(site, "kept")),
               (int64_t)json_integer_value(json_object_get(site, "units")));
  print_part(input, site, "information_kept");
  print_part(input, site, "stability");
  print_part(input, site, "stability_by_chance");
  print_result(input, "\n");
}

static void print_report(const command_input *input, const json_t *report) {
  size_t i;
  json_t *site;
  print_result(input, "%-20s %8s %8s %17s %17s %17s\n", "site", "kept", "of", "information kept",
               "stability", "by chance");
  json_array_foreach(json_object_get(report, "sites"), i, site) print_site(input, site);
  print_result(input, "parameters: %" PRId64 " of %" PRId64 "\n",
               (int64_t)json_integer_value(json_object_get(report, "parameters")),
               (int64_t)json_integer_value(json_object_get(report, "parameters_dense")));
  if (json_object_get(report, "parameters_unmasked"))
    print_result(input, "sparse, not smaller: %" PRId64 " of them are not masked\n",
                 (int64_t)json_integer_value(json_object_get(report, "parameters_unmasked")));
  print_result(input, "selection checksum: %s\n",
               json_string_value(json_object_get(report, "selection_checksum")));
}

static esp_status run(const command_input *input, json_t **result) {
  esp_interrupt_catch();
  ESP_TRY(esp_prune(input->comm, input->settings, input->arguments[0], result));
  print_report(input, *result);
  return ESP_OK;
}

const command command_prune = {.name = "prune",
                               .usage = "prune MODEL (--stats FILE | --data PATH) -o OUT.h5",
                               .summary = "select from the top, cut, repair, write",
                               .bit = ESP_FOR_PRUNE,
                               .least = 1,
                               .most = 1,
                               .run = run};
