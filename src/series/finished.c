/* What an earlier run has finished: a point is kept where its report says that the same request
 * made it, from the same statistics. */
#include "series_internal.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"

#include <string.h>
#include <unistd.h>

char *series_name_file(const series *self, const char *prefix, const char *name, const char *end) {
  return esp_format("%s/%s%s%s", self->folder, prefix, name, end);
}

esp_prune_settings series_set_point(const series *self, const esp_series_point *point) {
  esp_prune_settings settings = self->settings->prune;
  settings.run.output = series_name_file(self, "", point->name, ".h5");
  settings.run.json = NULL;
  settings.data.data = settings.data.split = NULL; // those are of the evaluation
  settings.prune.criterion = point->criterion;
  settings.repair.name = point->repair;
  settings.allocation.sparsity = point->sparsity;
  settings.allocation.max_parameters = settings.allocation.max_bytes = 0; // of a file of options
  settings.allocation.min_speed_up = 0.0;
  return settings;
}

static bool is_there(const esp_comm *comm, const char *path) {
  int64_t there = comm->rank == 0 && access(path, R_OK) == 0;
  esp_bcast(comm, &there, sizeof there, 0);
  return there != 0;
}

json_t *series_read_json(const series *self, const char *path) {
  char *text = NULL;
  int64_t bytes;
  if (!is_there(self->comm, path) || esp_file_read(self->comm, path, &text, &bytes) != ESP_OK)
    return NULL;
  json_t *json = json_loadb(text, (size_t)bytes, 0, NULL);
  esp_free(&text);
  return json;
}

/* Where files are, and how the run is conducted, changes nothing. */
static json_t *strip(json_t *options) {
  json_t *run = json_object_get(options, "run");
  json_t *seed = json_incref(json_object_get(run, "seed"));
  json_object_set_new(options, "run", seed ? seed : json_null());
  json_object_del(json_object_get(options, "prune"), "stats");
  json_object_del(options, "data");
  return options;
}

static bool is_same_request(const series *self, const esp_series_point *point, json_t *report) {
  esp_prune_settings settings = series_set_point(self, point);
  json_t *asked = strip(esp_prune_settings_dump(&settings));
  json_t *made = json_deep_copy(json_object_get(report, "options"));
  const char *program = json_string_value(json_object_get(report, "program"));
  const bool same = made && program && strcmp(program, ESPALIER_VERSION) == 0 &&
                    json_equal(asked, strip(made)) &&
                    json_equal(json_object_get(report, self->origin_key), self->origin);
  json_decref(made);
  json_decref(asked);
  esp_free(&settings.run.output);
  return same;
}

/* Whether the model is there as it was written. */
static bool opens(const series *self, const char *path) {
  esp_model *model = NULL;
  const bool is_good = esp_model_open(self->comm, path, &model) == ESP_OK;
  if (!is_good) esp_log_warn("%s; pruned again", esp_failure_text());
  esp_model_free(&model);
  return is_good;
}

bool series_is_done(const series *self, const esp_series_point *point, bool *is_other) {
  char *model = series_name_file(self, "", point->name, ".h5");
  char *path = series_name_file(self, "", point->name, ".h5.report.json");
  json_t *report = is_there(self->comm, model) ? series_read_json(self, path) : NULL;
  const bool same = report && is_same_request(self, point, report);
  const bool is_done = same && opens(self, model);
  *is_other = report && !same;
  json_decref(report);
  esp_free(&path);
  esp_free(&model);
  return is_done;
}
