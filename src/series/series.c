#include "series_internal.h"

#include "espalier/core/interrupt.h"
#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/flow/samples.h"
#include "espalier/io/file.h"
#include "espalier/io/outputs.h"
#include "espalier/model/forward.h"
#include "espalier/prune/prune.h"
#include "espalier/stats/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static esp_status check_settings(const esp_prune_settings *settings) {
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "sweep: expected a folder to write to; give -o FOLDER");
  if (!settings->data.data)
    return esp_fail(ESP_USAGE,
                    "sweep: expected held-out data to evaluate on, found none; give --data PATH");
  return ESP_OK;
}

static bool reads_statistics(const esp_prune_settings *settings, const esp_series_point *point) {
  const esp_criterion *criterion = NULL;
  const esp_repair *repair = NULL;
  const esp_allocation *allocation = NULL;
  const bool is_auto = strcmp(settings->allocation.name, ESP_ALLOCATION_AUTO) == 0;
  if (esp_criterion_find(point->criterion, &criterion) != ESP_OK ||
      esp_repair_find(point->repair, &repair) != ESP_OK ||
      (!is_auto && esp_allocation_find(settings->allocation.name, &allocation) != ESP_OK))
    return false; // said by the point
  return esp_prune_needs_statistics(criterion, repair) || (allocation && allocation->needs_trial) ||
         settings->prune.keep_stats || settings->prune.recover_tokens > 0;
}

/* Points never collect: what they would read are the data that they are evaluated on. */
static esp_status check_statistics(const series *self) {
  const esp_prune_settings *settings = &self->settings->prune;
  for (int i = 0; i < self->report->n && !settings->prune.stats; i++)
    if (reads_statistics(settings, &self->report->points[i]))
      return esp_fail(ESP_USAGE,
                      "sweep: expected statistics that all points share, found none, and %s reads "
                      "them; collect them first, and give --stats FILE",
                      self->report->points[i].name);
  return ESP_OK;
}

static esp_status make_folder_local(const char *folder) {
  struct stat about;
  if (mkdir(folder, 0777) == 0) return ESP_OK;
  const int code = errno;
  if (stat(folder, &about) == 0 && S_ISDIR(about.st_mode)) return ESP_OK;
  return esp_fail(ESP_IO, "cannot make the folder %s: %s", folder,
                  code == EEXIST ? "a file is in its place" : strerror(code));
}

/* No point's files are what the series reads. */
static esp_status check_outputs(const series *self) {
  static const char *const beside[] = {".partial", ".journal", ".report.json", NULL};
  const esp_prune_settings *settings = &self->settings->prune;
  const esp_input inputs[] = {{"an argument", self->path},
                              {"--stats", settings->prune.stats},
                              {"--data", settings->data.data}};
  esp_status status = ESP_OK;
  for (int i = 0; i < self->report->n && status == ESP_OK; i++) {
    char *path = series_name_file(self, "", self->report->points[i].name, ".h5");
    const esp_output output = {"the point", path, beside};
    status = esp_outputs_check(self->comm, &(esp_files){&output, inputs, 1, 3});
    esp_free(&path);
  }
  return status;
}

/* A line a point, as slurm/sweep.sbatch reads it. */
static esp_status write_list(const series *self) {
  char *text = esp_strdup("# name, then options of espalier prune\n");
  for (int i = 0; i < self->report->n; i++) {
    const esp_series_point *point = &self->report->points[i];
    char *longer =
        esp_format("%s%s --sparsity %s --criterion %s --repair %s\n", text, point->name,
                   esp_budget_format(point->sparsity).text, point->criterion, point->repair);
    esp_free(&text);
    text = longer;
  }
  char *path = series_name_file(self, "", "sweep", ".txt");
  const esp_status status = esp_file_write_text(self->comm, path, text);
  esp_free(&path);
  esp_free(&text);
  return status;
}

/* The statistics belong to the model; what they say of themselves is kept. Without, the model is
 * what a point is made from. */
static esp_status read_statistics(series *self) {
  esp_stats *stats = NULL;
  if (!self->settings->prune.prune.stats) {
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, esp_model_fingerprint(self->comm, self->dense));
    self->origin_key = "model_fingerprint";
    self->origin = esp_json_text(hash);
    return ESP_OK;
  }
  ESP_TRY(esp_stats_open(self->comm, self->settings->prune.prune.stats, &stats));
  const esp_status status = esp_stats_check(stats, self->dense, NULL);
  self->origin_key = "collection";
  if (status == ESP_OK) self->origin = json_deep_copy(stats->meta);
  esp_stats_close(&stats);
  return status;
}

static esp_status open_all(series *self) {
  const esp_prune_settings *settings = &self->settings->prune;
  esp_samples samples = esp_samples_of(&settings->run, &settings->data, "test");
  ESP_TRY(
      esp_model_open_ignoring(self->comm, self->path, settings->run.ignore_tensors, &self->dense));
  ESP_TRY(read_statistics(self));
  samples.reader = self->dense;
  ESP_TRY(esp_samples_open_data(self->comm, &samples, NULL, &self->data));
  self->report->task = self->dense->task;
  self->report->kind = self->data->kind;
  self->report->context = self->data->width;
  const esp_eval_options *eval = &self->settings->eval;
  const esp_speed_options speed = {.prefill = eval->speed && eval->prefill};
  ESP_TRY(esp_eval_check_speed(self->dense, &speed));
  return esp_agree(self->comm, esp_model_check_data(self->dense, self->data));
}

static void remove_file(const series *self, const char *prefix, const char *name, const char *end) {
  char *path = series_name_file(self, prefix, name, end);
  if (self->comm->rank == 0) unlink(path);
  esp_free(&path);
}

static esp_status prune(const series *self, const esp_series_point *point) {
  const esp_prune_settings settings = series_set_point(self, point);
  esp_prune_report report;
  remove_file(self, "eval.", point->name, ".json"); // of what stood there before
  const esp_status status = esp_prune(self->comm, &settings, self->path, &report);
  if (status == ESP_OK) esp_prune_report_clear(&report);
  esp_free((char **)(uintptr_t)&settings.run.output);
  return status;
}

/* As the table's maker finds it. */
static esp_status note_failure(const series *self, esp_series_point *point, esp_status status) {
  point->status = status;
  point->failure = esp_strdup(esp_failure_text());
  self->report->n_failed++;
  char *path = series_name_file(self, "", point->name, ".log");
  char *text = esp_format("espalier: error: %s\n", point->failure);
  const esp_status written = esp_file_write_text(self->comm, path, text);
  esp_free(&text);
  esp_free(&path);
  return written;
}

static esp_status run_point(series *self, esp_series_point *point) {
  bool is_other;
  point->was_done = series_is_done(self, point, &is_other) && !self->settings->prune.run.restart;
  if (is_other)
    esp_log_warn("%s was made by another request, or from other statistics: pruned again",
                 point->name);
  if (!point->was_done) ESP_TRY(prune(self, point));
  return series_evaluate(self, point, point->was_done);
}

static void tell(const series *self, int i, double start) {
  const esp_series_point *point = &self->report->points[i];
  esp_log_info("sweep: %d of %d: %s: %s, %.1f s", i + 1, self->report->n, point->name,
               point->failure    ? point->failure
               : point->was_done ? "finished before"
                                 : "done",
               esp_now_s() - start);
}

/* A point says little, or the log would be that of many prunings. */
static void set_quiet(const series *self, bool quiet) {
  if (self->comm->rank != 0) return;
  esp_log_set_level(quiet || self->settings->prune.run.quiet ? ESP_LOG_WARN : ESP_LOG_INFO);
}

static esp_status run_points(series *self) {
  for (int i = 0; i < self->report->n; i++) {
    esp_series_point *point = &self->report->points[i];
    const double start = esp_now_s();
    set_quiet(self, true);
    const esp_status status = run_point(self, point);
    set_quiet(self, false);
    if (status == ESP_INTERRUPTED) return status;
    if (status != ESP_OK) ESP_TRY(note_failure(self, point, status));
    if (status == ESP_OK && !point->was_done) remove_file(self, "", point->name, ".log");
    tell(self, i, start);
  }
  return ESP_OK;
}

static esp_status run(series *self) {
  esp_series_report *report = self->report;
  ESP_TRY(check_settings(&self->settings->prune));
  ESP_TRY(esp_series_list(&self->settings->series, &report->n, &report->points));
  ESP_TRY(check_statistics(self));
  ESP_TRY(open_all(self));
  ESP_TRY(esp_agree(self->comm, self->comm->rank == 0 ? make_folder_local(self->folder) : ESP_OK));
  ESP_TRY(check_outputs(self));
  ESP_TRY(write_list(self));
  ESP_TRY(run_points(self));
  report->no_tables = series_make_tables(self);
  if (report->no_tables) esp_log_warn("no table.csv and no page: %s", report->no_tables);
  return ESP_OK;
}

esp_status esp_series_run(const esp_comm *comm, const esp_series_settings *settings,
                          const char *path, esp_series_report *report) {
  series self = {.comm = comm,
                 .settings = settings,
                 .folder = settings->prune.run.output,
                 .path = path,
                 .report = report};
  *report = (esp_series_report){.rows = json_array()};
  const esp_status status = run(&self);
  json_decref(self.dense_row);
  json_decref(self.origin);
  esp_dataset_close(&self.data);
  esp_model_free(&self.dense);
  return status;
}

void esp_series_report_clear(esp_series_report *self) {
  esp_series_clear_points(self->n, &self->points);
  json_decref(self->rows);
  esp_free(&self->no_tables);
  *self = (esp_series_report){0};
}

json_t *esp_series_report_dump(const esp_series_report *self) {
  json_t *points = json_array();
  for (int i = 0; i < self->n; i++) {
    const esp_series_point *point = &self->points[i];
    json_t *row = esp_json_pack("{s:s, s:s, s:f, s:s, s:b}", "name", point->name, "criterion",
                                point->criterion, "sparsity", point->sparsity, "repair",
                                point->repair, "finished_before", (int)point->was_done);
    if (point->failure) json_object_set_new(row, "failure", esp_json_text(point->failure));
    json_array_append_new(points, row);
  }
  return esp_json_pack("{s:o, s:i, s:O}", "points", points, "failed", self->n_failed, "results",
                       self->rows);
}

esp_status esp_series_check(const esp_series_report *self) {
  for (int i = 0; i < self->n; i++)
    if (self->points[i].failure)
      return esp_fail(self->points[i].status, "%d of %d points failed, first %s: %s",
                      self->n_failed, self->n, self->points[i].name, self->points[i].failure);
  return ESP_OK;
}
