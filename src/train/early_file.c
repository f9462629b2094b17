#include "early_file.h"

#include "gates.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/h5.h"
#include "espalier/io/tensors.h"

#include <inttypes.h>
#include <unistd.h>

static int64_t get_step(const training *self) {
  return self->request->early ? self->request->options->save_step : -1;
}

esp_status early_check_local(const training *self) {
  const int64_t step = get_step(self);
  if (step <= self->schedule.n) return ESP_OK;
  return esp_fail(ESP_USAGE, "--save-step %" PRId64 ": expected one of %" PRId64 " steps at most",
                  step, self->schedule.n);
}

esp_status early_check_file(const training *self) {
  const int64_t step = get_step(self);
  const bool is_gone = step >= 0 && self->progress.step >= step && self->comm->rank == 0 &&
                       access(self->request->early, F_OK) != 0;
  if (esp_agree_max_i64(self->comm, is_gone) == 0) return ESP_OK;
  return esp_fail(ESP_IO,
                  "%s: expected the weights of step %" PRId64 ", which this training has written "
                  "before it was interrupted, found no such file; give --restart to begin again",
                  self->request->early, step);
}

/* Weights that did not train have no values yet. */
static esp_status cut_local(esp_model *model, esp_model **cut) {
  int64_t *n_kept = ESP_NEW(int64_t, model->n_stages);
  int64_t **kept = ESP_NEW(int64_t *, model->n_stages);
  esp_status status = esp_model_load_all_local(model);
  if (status == ESP_OK) status = gates_cut(model, n_kept, kept, cut);
  esp_model_unload_all(model);
  for (int i = 0; i < model->n_stages; i++) esp_free(&kept[i]);
  esp_free(&kept);
  esp_free(&n_kept);
  return status;
}

static esp_status write_all(const training *self, esp_model *model, esp_h5 *file) {
  json_t *meta = esp_json_pack("{s:s, s:I}", "program", "espalier " ESPALIER_VERSION, "step",
                               (json_int_t)self->progress.step);
  char *text = esp_json_dump(meta, JSON_COMPACT | JSON_SORT_KEYS);
  const esp_status status = esp_meta_write(file, ESP_MODEL_KIND, text);
  esp_free(&text);
  json_decref(meta);
  ESP_TRY(status);
  return esp_model_write(self->comm, model, file);
}

static esp_status write_file(const training *self, esp_model *model) {
  esp_h5 *file = NULL;
  ESP_TRY(esp_h5_create(self->comm, self->request->early, &file));
  esp_status status = write_all(self, model, file);
  if (status == ESP_OK)
    status = esp_h5_commit(&file);
  else
    esp_h5_close(&file);
  return status;
}

esp_status early_write_if_due(const training *self) {
  esp_model *model = self->request->model, *cut = NULL;
  if (self->progress.step != get_step(self)) return ESP_OK;
  if (self->pruning.by_units) ESP_TRY(esp_agree(self->comm, cut_local(model, &cut)));
  const esp_status status = write_file(self, cut ? cut : model);
  esp_model_free(&cut);
  if (status == ESP_OK)
    esp_log_info("train: %s has the weights of step %" PRId64, self->request->early,
                 self->progress.step);
  return status;
}
