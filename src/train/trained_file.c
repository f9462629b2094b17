#include "trained_file.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/io/h5.h"
#include "espalier/io/tensors.h"

static const esp_option_part parts[] = {
    {&esp_run_option_group, offsetof(esp_train_settings, run)},
    {&esp_data_option_group, offsetof(esp_train_settings, data)},
    {&esp_network_option_group, offsetof(esp_train_settings, network)},
    {&esp_train_option_group, offsetof(esp_train_settings, train)},
};

json_t *trained_dump_options(const esp_train_settings *settings) {
  enum { MOST = 64 };
  esp_option rows[MOST];
  const esp_option_table table = esp_options_join(parts, sizeof parts / sizeof *parts, rows, MOST);
  json_t *options = esp_options_dump(&table, settings, ESP_FOR_TRAIN);
  json_object_del(options, "run");
  return options;
}

static json_t *describe(const esp_train_settings *settings, const esp_train_report *report) {
  json_t *all = esp_train_report_dump(report);
  json_object_set_new(all, "options", trained_dump_options(settings));
  json_object_set_new(all, "seed", json_integer(settings->run.seed));
  json_object_set_new(all, "program", json_string(ESPALIER_VERSION));
  return all;
}

/* The report that the model's file had, with the training. */
static esp_status write_report(const esp_model *model, const char *key, json_t *training,
                               esp_h5 *file) {
  json_t *report = model->details ? json_loads(model->details, 0, NULL) : NULL;
  if (!report) return ESP_OK;
  json_object_set(report, key, training);
  char *text = esp_json_dump(report, JSON_COMPACT | JSON_SORT_KEYS);
  const esp_status status = esp_h5_write_text(file, "/report", text);
  esp_free(&text);
  json_decref(report);
  return status;
}

/* Only an HDF5 file has a report, and what stands beside it. */
static esp_status copy_others(const esp_comm *comm, const esp_model *model, esp_h5 *file) {
  static const char *const groups[] = {"/kept", "/scores"};
  esp_h5 *from = NULL;
  if (!model->details) return ESP_OK;
  ESP_TRY(esp_h5_open(comm, model->path, &from));
  esp_status status = ESP_OK;
  for (unsigned i = 0; i < sizeof groups / sizeof *groups && status == ESP_OK; i++)
    status = esp_h5_copy_group(from, file, groups[i]);
  esp_h5_close(&from);
  return status;
}

esp_status trained_write(const esp_comm *comm, const esp_train_settings *settings,
                         esp_train_purpose purpose, esp_model *model,
                         const esp_train_report *report) {
  const char *key = purpose == ESP_TRAIN_RECOVER ? "recovery" : "training";
  json_t *training = describe(settings, report);
  json_t *meta =
      esp_json_pack("{s:s, s:O}", "program", "espalier " ESPALIER_VERSION, key, training);
  char *text = esp_json_dump(meta, JSON_COMPACT | JSON_SORT_KEYS);
  esp_h5 *file = NULL;
  esp_status status = esp_h5_create(comm, settings->run.output, &file);
  if (status == ESP_OK) status = esp_meta_write(file, ESP_MODEL_KIND, text);
  if (status == ESP_OK) status = esp_model_write(comm, model, file);
  if (status == ESP_OK) status = copy_others(comm, model, file);
  if (status == ESP_OK) status = write_report(model, key, training, file);
  if (status == ESP_OK) status = esp_h5_commit(&file);
  esp_h5_close(&file);
  esp_free(&text);
  json_decref(meta);
  json_decref(training);
  return status;
}
