#include "commands.h"

#include "espalier/core/interrupt.h"
#include "espalier/prune/prune.h"

#include <inttypes.h>

/* A part of 1 in percent, or that it was not measured: the width has no information of its own. */
static void print_part(const command_input *input, bool is_measured, double part) {
  if (is_measured)
    print_result(input, " %16.1f%%", 100.0 * part);
  else
    print_result(input, " %17s", "-");
}

static void print_site(const command_input *input, const esp_prune_report *report, int site) {
  const esp_site_report *row = &report->sites[site];
  if (!row->is_selected) return;
  print_result(input, "%-20s %8" PRId64 " %8" PRId64,
               esp_prune_site_of(report->request->dense, site).name, row->kept, row->units);
  print_part(input, row->has_information, row->information.kept);
  print_part(input, row->has_stability, row->stability.same);
  print_part(input, row->has_stability, row->stability.by_chance);
  print_result(input, "\n");
}

/* The width first, then from the bottom. */
static void print_sites(const command_input *input, const esp_prune_report *report) {
  const int n = report->request->dense->n_stages;
  print_result(input, "%-20s %8s %8s %17s %17s %17s\n", "site", "kept", "of", "information kept",
               "stability", "by chance");
  print_site(input, report, n);
  for (int i = 0; i < n; i++) print_site(input, report, i);
  if (report->layers.units > 0)
    print_result(input, "%-20s %8" PRId64 " %8" PRId64 " %17s %17s %17s\n", ESP_SITE_BLOCK,
                 report->layers.n_kept, report->layers.units, "-", "-", "-");
}

static void print_alignment(const command_input *input, const esp_prune_report *report) {
  if (report->unaligned > 0.0)
    print_result(input, "alignment: %+.0f parameters by multiples of kept counts (%.0f without)\n",
                 (double)report->sizes.pruned - report->unaligned, report->unaligned);
}

/* What training after the repair gave. */
static void print_recovery(const command_input *input, const esp_train_report *report) {
  if (report->n_points == 0) return;
  if (report->held_out_objective)
    print_result(
        input, "recovery: held-out loss %.4f -> %.4f nats (step %" PRId64 " of %" PRId64 ")\n",
        report->points[0].held_out, esp_train_report_find(report, report->best_step)->held_out,
        report->best_step, report->planned);
  else
    print_result(input, "recovery: %" PRId64 " steps, nothing held out\n", report->steps);
}

static void print_report(const command_input *input, const esp_prune_report *report) {
  print_sites(input, report);
  print_result(input, "parameters: %" PRId64 " of %" PRId64 "\n", report->sizes.pruned,
               report->sizes.dense);
  print_budget(input, report->request->budget);
  print_alignment(input, report);
  if (report->masks.rows)
    print_result(input, "sparse, not smaller: %" PRId64 " of them are not masked\n",
                 report->sizes.dense - report->masks.masked);
  print_recovery(input, &report->parts.recovery);
  print_result(input, "selection checksum: %016" PRIx64 "\n", report->checksum);
  print_opening(input, &report->opening, false);
  if (report->request->leaves_heads && !*report->opening.why)
    print_result(input, "heads are left alone for that; --sites ffn,attention cuts them too, and "
                        "needs " ESP_OPENS_BY_LOADER "\n");
}

static esp_status run(const command_input *input, json_t **result) {
  const esp_prune_settings settings = settings_of_prune(input->settings);
  esp_prune_report report;
  esp_interrupt_catch();
  ESP_TRY(esp_prune(input->comm, &settings, input->arguments[0], &report));
  print_report(input, &report);
  *result = esp_prune_report_dump_run(&report);
  esp_prune_report_clear(&report);
  return ESP_OK;
}

#define OWN_ENDS                                                                    \
  ".partial", ".journal", ".report.json", ".report.json.partial", ".checkpoint.h5", \
      ".checkpoint.h5.partial"

/* Statistics are collected beside the model, to be kept or not. */
static const char *const *list_beside(const esp_settings *settings) {
  static const char *const given[] = {OWN_ENDS, NULL};
  static const char *const kept[] = {OWN_ENDS, ".stats.h5", ".stats.h5.partial",
                                     ".stats.h5.journal", NULL};
  static const char *const removed[] = {OWN_ENDS, ".stats.tmp", ".stats.tmp.partial",
                                        ".stats.tmp.journal", NULL};
  return settings->prune.stats ? given : settings->prune.keep_stats ? kept : removed;
}

const command command_prune = {.name = "prune",
                               .usage = "prune MODEL [--stats FILE | --data PATH] -o OUT.h5",
                               .summary = "select from the top, cut, repair, write",
                               .bit = ESP_FOR_PRUNE,
                               .least = 1,
                               .most = 1,
                               .computes = true,
                               .list_beside = list_beside,
                               .run = run};
