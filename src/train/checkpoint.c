/* Checkpoints: weights and optimiser state after an epoch, with a description of the training they
 * belong to. Going on from one gives the same bits as never having stopped. */
#include "train_internal.h"

#include "espalier/core/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char format_name[] = "espalier-training";

static char *describe(const training *self) {
  const esp_train_options *o = self->options;
  char data[24];
  snprintf(data, sizeof data, "%016" PRIx64, self->data->fingerprint);
  json_t *all =
      json_pack("{s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:I, s:s, s:O}", "epochs",
                (json_int_t)o->epochs, "batch", (json_int_t)o->batch, "micro_batch",
                (json_int_t)o->micro_batch, "optimizer", o->optimizer, "rate", o->rate, "warmup",
                o->warmup, "weight_decay", o->weight_decay, "momentum", o->momentum, "seed",
                (json_int_t)o->seed, "data", data, "model", self->model->config);
  char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
  json_decref(all);
  return text;
}

static void name_array(const training *self, int weight, int slot, char *name, size_t size) {
  if (slot < 0)
    snprintf(name, size, "/model/%s", self->model->weights[weight].name);
  else
    snprintf(name, size, "/slot%d/%s", slot, self->model->weights[weight].name);
}

static float *get_array(const training *self, int weight, int slot) {
  return slot < 0 ? self->model->weights[weight].value : self->slots[slot][weight];
}

static esp_status write_arrays(const training *self, esp_h5 *file) {
  for (int slot = -1; slot < self->method->n_slots; slot++)
    for (int i = 0; i < self->model->n_weights; i++) {
      char name[256];
      name_array(self, i, slot, name, sizeof name);
      const esp_h5_shape shape = {ESP_F32, 1, {esp_weight_count(&self->model->weights[i])}};
      ESP_TRY(esp_h5_write_root(file, name, &shape, get_array(self, i, slot)));
    }
  return ESP_OK;
}

static esp_status read_arrays(const training *self, esp_h5 *file) {
  for (int slot = -1; slot < self->method->n_slots; slot++)
    for (int i = 0; i < self->model->n_weights; i++) {
      char name[256];
      name_array(self, i, slot, name, sizeof name);
      const esp_h5_shape shape = {ESP_F32, 1, {esp_weight_count(&self->model->weights[i])}};
      ESP_TRY(esp_h5_expect_shape(file, name, &shape));
      ESP_TRY(esp_h5_read_all(file, name, get_array(self, i, slot)));
    }
  return ESP_OK;
}

static esp_status write_all(const training *self, esp_h5 *file) {
  const esp_h5_shape scalar = {ESP_I64, 1, {1}};
  char *text = describe(self);
  esp_status status = esp_meta_write(file, format_name, "{}");
  if (status == ESP_OK) status = esp_h5_write_text(file, "/training", text);
  if (status == ESP_OK) status = esp_h5_write_root(file, "/epoch", &scalar, &self->epoch);
  free(text);
  return status == ESP_OK ? write_arrays(self, file) : status;
}

esp_status checkpoint_save(const training *self) {
  esp_h5 *file = NULL;
  ESP_TRY(esp_h5_create(self->comm, self->options->checkpoint, &file));
  const esp_status status = write_all(self, file);
  if (status == ESP_OK) return esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}

static esp_status check_same(const training *self, const char *found) {
  char *expected = describe(self);
  const bool same = strcmp(expected, found) == 0;
  free(expected);
  if (same) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: checkpoint of another training (options, model or data differ); "
                  "remove it or restore the options",
                  self->options->checkpoint);
}

static esp_status check_epoch(const training *self) {
  if (self->epoch >= 0 && self->epoch <= self->options->epochs) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: expected a checkpoint after 0 to %" PRId64 " epochs, found %" PRId64
                  "; remove it",
                  self->options->checkpoint, self->options->epochs, self->epoch);
}

static esp_status read_all(training *self, esp_h5 *file) {
  const esp_h5_shape scalar = {ESP_I64, 1, {1}};
  char *text = NULL;
  ESP_TRY(esp_meta_read(file, format_name, &text));
  esp_free(&text);
  ESP_TRY(esp_h5_read_text(file, "/training", &text));
  const esp_status status = esp_agree(self->comm, check_same(self, text));
  esp_free(&text);
  ESP_TRY(status);
  ESP_TRY(esp_h5_expect_shape(file, "/epoch", &scalar));
  ESP_TRY(esp_h5_read_all(file, "/epoch", &self->epoch));
  ESP_TRY(check_epoch(self)); // equal on all ranks
  return read_arrays(self, file);
}

esp_status checkpoint_load(training *self, bool *found) {
  int exists = self->comm->rank == 0 && self->options->checkpoint &&
               access(self->options->checkpoint, F_OK) == 0;
  esp_bcast(self->comm, &exists, sizeof exists, 0);
  *found = exists;
  if (!exists) return ESP_OK;
  esp_h5 *file = NULL;
  ESP_TRY(esp_h5_open(self->comm, self->options->checkpoint, &file));
  const esp_status status = esp_agree(self->comm, read_all(self, file));
  esp_h5_close(&file);
  return status;
}

void esp_train_remove_checkpoint(const esp_comm *comm, const esp_train_options *options) {
  if (comm->rank == 0 && options->checkpoint) unlink(options->checkpoint);
}
