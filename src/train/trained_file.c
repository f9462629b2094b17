#include "trained_file.h"

#include "gates.h"
#include "policy.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/io/h5.h"
#include "espalier/io/tensors.h"

#include <inttypes.h>
#include <string.h>

static const esp_option_part parts[] = {
    {&esp_run_option_group, offsetof(esp_train_settings, run)},
    {&esp_data_option_group, offsetof(esp_train_settings, data)},
    {&esp_network_option_group, offsetof(esp_train_settings, network)},
    {&esp_train_option_group, offsetof(esp_train_settings, train)},
    {&esp_policy_option_group, offsetof(esp_train_settings, policy)},
};

json_t *trained_dump_options(const esp_train_settings *settings) {
  enum { MOST = 96 };
  esp_option rows[MOST];
  const esp_option_table table = esp_options_join(parts, sizeof parts / sizeof *parts, rows, MOST);
  json_t *options = esp_options_dump(&table, settings, ESP_FOR_TRAIN);
  json_object_del(options, "run");
  json_t *pruned_by = json_object_get(options, "policy");
  json_object_set_new(pruned_by, "min_keep", json_integer(settings->policy.min_keep));
  if (!settings->policy.policy) json_object_del(options, "policy");
  if (settings->train.save_step < 0)
    json_object_del(json_object_get(options, "train"), "save_step");
  return options;
}

static json_t *describe(const esp_train_settings *settings, const esp_train_report *report) {
  json_t *all = esp_train_report_dump(report);
  json_object_set_new(all, "options", trained_dump_options(settings));
  json_object_set_new(all, "seed", json_integer(settings->run.seed));
  json_object_set_new(all, "program", json_string(ESPALIER_VERSION));
  return all;
}

/* What is being written. */
typedef struct writing {
  const trained_model *of;
  const char *key; // of the training in a report
  json_t *training;
  esp_model *cut; // NULL: nothing was cut
  int64_t *n_kept, **kept;
} writing;

/* Frozen weights are there all the same. */
static bool is_pruned(const writing *self) {
  const policy *of = NULL;
  return policy_find(self->of->report->policy.name, &of) == ESP_OK && of &&
         of->masked != POLICY_FROZEN;
}

/* Who the model was before a policy went to work on it; nobody, where only a folder says that its
 * zeros are masks. */
static json_t *begin_report(const writing *self) {
  char fingerprint[24];
  json_t *report = esp_json_pack("{s:s}", "program", ESPALIER_VERSION);
  if (self->of->purpose == ESP_TRAIN_NEW || !self->of->report->policy.name) return report;
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, self->of->fingerprint);
  json_object_set_new(report, "model_path", esp_json_text(self->of->model->path));
  json_object_set_new(report, "model_fingerprint", json_string(fingerprint));
  return report;
}

/* The report that the model's file had, with the training; a new one where there was a policy, or a
 * folder was masked. */
static json_t *make_report(const writing *self) {
  const char *details = self->of->model->details;
  json_t *before = details ? json_loads(details, 0, NULL) : NULL;
  const bool was_masked = !before && self->of->model->is_masked;
  const bool is_masked = self->cut ? self->cut->is_masked : is_pruned(self) || was_masked;
  if (!before && !self->of->report->policy.name && !was_masked) return NULL;
  json_t *report = before && !self->cut ? before : begin_report(self);
  json_object_set(report, self->key, self->training);
  if (is_masked) json_object_set_new(report, "masked", json_true());
  if (self->cut || (!before && is_masked))
    json_object_set_new(report, "structure",
                        json_string(self->cut ? "structured" : "unstructured"));
  if (before && self->cut) json_object_set_new(report, "before", before);
  return report;
}

static esp_status write_report(const writing *self, esp_h5 *file) {
  json_t *report = make_report(self);
  if (!report) return ESP_OK;
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

static esp_status write_kept(const writing *self, esp_h5 *file) {
  for (int i = 0; i < self->of->model->n_stages; i++) {
    const esp_h5_shape shape = {ESP_I64, 1, {self->n_kept[i]}};
    char name[96];
    snprintf(name, sizeof name, "/kept/%s", self->of->model->stages[i].name);
    ESP_TRY(esp_h5_write_root(file, name, &shape, self->kept[i]));
  }
  return ESP_OK;
}

static esp_status write_all(const esp_comm *comm, const writing *self, esp_h5 *file) {
  json_t *meta = esp_json_pack("{s:s, s:O}", "program", "espalier " ESPALIER_VERSION, self->key,
                               self->training);
  char *text = esp_json_dump(meta, JSON_COMPACT | JSON_SORT_KEYS);
  esp_status status = esp_meta_write(file, ESP_MODEL_KIND, text);
  esp_free(&text);
  json_decref(meta);
  ESP_TRY(status);
  ESP_TRY(esp_model_write(comm, self->cut ? self->cut : self->of->model, file));
  ESP_TRY(self->cut ? write_kept(self, file) : copy_others(comm, self->of->model, file));
  return write_report(self, file);
}

/* Weights that did not train have no values yet. */
static esp_status cut_local(writing *self) {
  esp_model *model = self->of->model;
  self->n_kept = ESP_NEW(int64_t, model->n_stages);
  self->kept = ESP_NEW(int64_t *, model->n_stages);
  ESP_TRY(esp_model_load_all_local(model));
  const esp_status status = gates_cut(model, self->n_kept, self->kept, &self->cut);
  esp_model_unload_all(model);
  return status;
}

static void clear(writing *self) {
  for (int i = 0; self->kept && i < self->of->model->n_stages; i++) esp_free(&self->kept[i]);
  esp_free(&self->kept);
  esp_free(&self->n_kept);
  esp_model_free(&self->cut);
  json_decref(self->training);
}

/* Frozen values of a new model are those that its seed gives. */
static void store_as_seed(const writing *self) {
  const policy *of = NULL;
  esp_model *model = self->of->model;
  if (policy_find(self->of->report->policy.name, &of) != ESP_OK) return;
  model->is_drawn = self->of->purpose == ESP_TRAIN_NEW && policy_stores_seed(of);
  model->seed = (uint64_t)self->of->settings->run.seed;
}

static esp_status write_file(const esp_comm *comm, writing *self) {
  const esp_train_report *report = self->of->report;
  esp_h5 *file = NULL;
  store_as_seed(self);
  if (report->policy.name && report->policy.by_units) ESP_TRY(esp_agree(comm, cut_local(self)));
  ESP_TRY(esp_h5_create(comm, self->of->settings->run.output, &file));
  esp_status status = write_all(comm, self, file);
  if (status == ESP_OK) status = esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}

esp_status trained_write(const esp_comm *comm, const trained_model *self) {
  writing all = {.of = self,
                 .key = self->purpose == ESP_TRAIN_RECOVER ? "recovery" : "training",
                 .training = describe(self->settings, self->report)};
  const esp_status status = write_file(comm, &all);
  clear(&all);
  return status;
}
