#include "rewind.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/model/family.h"

#include <inttypes.h>
#include <string.h>

enum { STREAM_AGAIN = 0x7a4d05 };

static esp_status fail_other(const training *self, const char *what) {
  return esp_fail(ESP_MISMATCH,
                  "--rewind %s: expected the weights of %s at an earlier step, found other ones "
                  "(%s); give the OUT.early.h5 of a training of the same shape",
                  self->request->rewind->path,
                  self->request->model->path ? self->request->model->path : "this model", what);
}

esp_status rewind_check_local(const training *self) {
  const esp_model *mine = self->request->model, *other = self->request->rewind;
  if (mine->n_weights != other->n_weights) return fail_other(self, "another number of them");
  for (int w = 0; w < mine->n_weights; w++) {
    const esp_weight *a = &mine->weights[w], *b = &other->weights[w];
    if (strcmp(a->name, b->name) != 0 || a->rank != b->rank ||
        memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) != 0)
      return fail_other(self, b->name);
  }
  return ESP_OK;
}

/* This rank's values of a stage, which is loaded. */
static void copy_stage(training *self, const esp_model *from, int stage) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const esp_weight *weight = &from->weights[run->weight];
    if (weight->stage == stage)
      memcpy(parts_find_values(&self->parts, run), weight->value + run->at,
             (size_t)run->n * sizeof(float));
  }
}

static esp_status copy_local(training *self, esp_model *from) {
  for (int stage = ESP_STAGE_EMBED; stage <= from->n_stages; stage++) {
    ESP_TRY(esp_model_load_local(from, stage));
    copy_stage(self, from, stage);
    esp_model_unload(from, stage);
  }
  return ESP_OK;
}

static esp_status copy_all(training *self, esp_model *from) {
  ESP_TRY(esp_agree(self->comm, copy_local(self, from)));
  parts_gather(self->comm, &self->parts, NULL);
  return ESP_OK;
}

esp_status rewind_to_model(training *self) {
  return copy_all(self, self->request->rewind);
}

esp_status rewind_to_random(training *self) {
  esp_model *again = NULL;
  ESP_TRY(esp_agree(self->comm, esp_model_new(self->request->model->config, &again)));
  esp_model_own_all(again);
  again->family->init(again, esp_rng_u64(self->request->seed, STREAM_AGAIN, 0));
  const esp_status status = copy_all(self, again);
  esp_model_free(&again);
  return status;
}
