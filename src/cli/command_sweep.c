#include "commands.h"
#include "eval_table.h"

#include "espalier/core/interrupt.h"
#include "espalier/core/memory.h"
#include "espalier/series/series.h"

#include <unistd.h>

static void print_files(const command_input *input) {
  const char *folder = input->settings->run.output;
  char *page = esp_format("%s/report.html", folder);
  print_result(input, "tables: %s/table.txt, table.md, table.csv\n", folder);
  if (access(page, R_OK) == 0) print_result(input, "page: %s\n", page);
  esp_free(&page);
}

static void print_report(const command_input *input, const esp_series_report *report) {
  const eval_table about = {report->task, report->kind, report->context};
  if (json_array_size(report->rows) > 0) eval_table_print(input, &about, report->rows);
  for (int i = 0; i < report->n; i++)
    if (report->points[i].failure)
      print_result(input, "failed: %s: %s\n", report->points[i].name, report->points[i].failure);
  if (!report->no_tables) print_files(input);
}

/* What was done is printed, and written by --json, also where points failed. */
static esp_status run(const command_input *input, json_t **result) {
  const esp_settings *all = input->settings;
  const esp_series_settings settings = {settings_of_prune(all), all->eval, all->series};
  esp_series_report report;
  esp_interrupt_catch();
  esp_status status = esp_series_run(input->comm, &settings, input->arguments[0], &report);
  if (status == ESP_OK) {
    print_report(input, &report);
    *result = esp_series_report_dump(&report);
    status = esp_series_check(&report);
  }
  esp_series_report_clear(&report);
  return status;
}

const command command_sweep = {.name = "sweep",
                               .usage = "sweep MODEL [--stats FILE] --data HELDOUT -o FOLDER",
                               .summary =
                                   "prune by several criteria at several sparsities, evaluate each",
                               .bit = ESP_FOR_SWEEP,
                               .least = 1,
                               .most = 1,
                               .computes = true,
                               .tells_failure = true,
                               .run = run};
