/* Quality and speed of a point, beside the dense model: eval.NAME.json, as eval --json has it. */
#include "series_internal.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/model/forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What an evaluation depends on beside the model. */
static json_t *describe(const series *self) {
  const esp_eval_options *options = &self->settings->eval;
  char fingerprint[24];
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, self->data->fingerprint);
  return esp_json_pack("{s:s, s:s, s:b, s:b, s:I, s:I}", "data_fingerprint", fingerprint, "split",
                       self->data->split, "speed", (int)options->speed, "prefill",
                       (int)options->prefill, "speed_batch", (json_int_t)options->speed_batch,
                       "repeats", (json_int_t)options->repeats);
}

static esp_status measure_quality(const series *self, esp_model *model, json_t *row) {
  const esp_eval_options options = {.state_bytes = self->settings->eval.state_bytes};
  esp_model *const both[2] = {self->dense, model};
  esp_quality quality;
  int64_t nonzero;
  ESP_TRY(esp_agree(self->comm, esp_model_count_nonzero_local(model, &nonzero)));
  json_object_set_new(row, "nonzero_parameters", json_integer(nonzero));
  ESP_TRY(self->dense->task == ESP_TASK_EMBED
              ? esp_eval_cosine(self->comm, both, self->data, &options, &quality)
              : esp_eval_quality(self->comm, model, self->data, &options, &quality));
  esp_eval_set_quality(model, self->data, &quality, row);
  return ESP_OK;
}

static esp_status load_both(const series *self, esp_model *const *models) {
  esp_status status = ESP_OK;
  for (int i = 0; self->comm->rank == 0 && i < 2 && status == ESP_OK; i++)
    status = esp_model_load_all_local(models[i]);
  return esp_agree(self->comm, status);
}

/* Each point beside the dense model, timed by turns. */
static esp_status measure_speed(const series *self, esp_model *model, json_t *dense, json_t *row) {
  const esp_eval_options *eval = &self->settings->eval;
  const esp_speed_options options = {eval->speed_batch, eval->repeats, eval->prefill};
  const char *key = self->data->kind == ESP_DATA_TOKENS ? "tokens_per_s" : "images_per_s";
  esp_model *const models[2] = {self->dense, model};
  double rates[2];
  ESP_TRY(load_both(self, models));
  esp_eval_speed(self->comm, models, 2, self->data, &options, rates);
  json_object_set_new(dense, key, esp_json_real(rates[0]));
  json_object_set_new(dense, "speedup", esp_json_real(1.0));
  json_object_set_new(row, key, esp_json_real(rates[1]));
  json_object_set_new(row, "speedup", esp_json_real(rates[1] / rates[0]));
  json_object_set_new(dense, "prefill", json_boolean(options.prefill));
  json_object_set_new(row, "prefill", json_boolean(options.prefill));
  for (int i = 0; i < 2; i++) esp_model_unload_all(models[i]);
  return ESP_OK;
}

static esp_status measure_dense(series *self) {
  if (self->dense_row) return ESP_OK;
  json_t *row = esp_eval_describe(self->dense);
  const esp_status status = measure_quality(self, self->dense, row);
  if (status == ESP_OK) self->dense_row = json_incref(row);
  json_decref(row);
  return status;
}

static esp_status measure(series *self, esp_model *model, json_t *results) {
  ESP_TRY(measure_dense(self));
  json_t *row = esp_eval_describe(model);
  json_t *dense = json_deep_copy(self->dense_row);
  json_array_append_new(results, dense);
  json_array_append_new(results, row);
  ESP_TRY(measure_quality(self, model, row));
  return self->settings->eval.speed ? measure_speed(self, model, dense, row) : ESP_OK;
}

static esp_status write(const series *self, const char *path, json_t *results) {
  json_t *all =
      esp_json_pack("{s:o, s:s, s:o, s:O}", "data", esp_json_text(self->data->path), "split",
                    self->data->split, "request", describe(self), "results", results);
  char *text = esp_json_dump(all, JSON_INDENT(2) | JSON_SORT_KEYS);
  const esp_status status = esp_file_write_text(self->comm, path, text);
  esp_free(&text);
  json_decref(all);
  return status;
}

static void append(series *self, const json_t *results) {
  if (json_array_size(self->report->rows) == 0)
    json_array_append(self->report->rows, json_array_get(results, 0));
  json_array_append(self->report->rows, json_array_get(results, 1));
}

/* An evaluation of the same, *taken. */
static void take(series *self, const char *path, bool *taken) {
  json_t *all = series_read_json(self, path), *asked = describe(self);
  const json_t *results = json_object_get(all, "results");
  *taken = json_equal(json_object_get(all, "request"), asked) && json_array_size(results) == 2;
  if (*taken) append(self, results);
  json_decref(asked);
  json_decref(all);
}

static esp_status evaluate(series *self, const esp_series_point *point, const char *path) {
  char *file = series_name_file(self, "", point->name, ".h5");
  esp_model *model = NULL;
  json_t *results = json_array();
  esp_status status = esp_model_open(self->comm, file, &model);
  if (status == ESP_OK) status = measure(self, model, results);
  if (status == ESP_OK) status = write(self, path, results);
  if (status == ESP_OK) append(self, results);
  esp_model_free(&model);
  json_decref(results);
  esp_free(&file);
  return status;
}

esp_status series_evaluate(series *self, const esp_series_point *point, bool may_take) {
  char *path = series_name_file(self, "eval.", point->name, ".json");
  esp_status status = ESP_OK;
  bool taken = false;
  if (may_take) take(self, path, &taken);
  if (!taken) status = evaluate(self, point, path);
  esp_free(&path);
  return status;
}
