#include "rewind.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/model/family.h"

#include <inttypes.h>
#include <math.h>
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

/* Sums over what survives of prunable matrices: of products, and of squares of both. */
typedef struct kinship {
  double product, mine, other, count;
} kinship;

static void add_run(const training *self, const parts_run *run, const float *other, kinship *sums) {
  const float *mine = parts_find_values(&self->parts, run);
  if (self->pruning.matrix_of[run->weight] < 0) return;
  for (int64_t i = 0; i < run->n; i++) {
    if (mine[i] == 0.0f || other[i] == 0.0f) continue;
    sums->product += (double)mine[i] * (double)other[i];
    sums->mine += (double)mine[i] * (double)mine[i];
    sums->other += (double)other[i] * (double)other[i];
    sums->count += 1.0;
  }
}

/* This rank's values of a stage, which is loaded. */
static void copy_stage(training *self, const esp_model *from, int stage, kinship *sums) {
  for (int r = 0; r < self->parts.n_runs; r++) {
    const parts_run *run = &self->parts.runs[r];
    const esp_weight *weight = &from->weights[run->weight];
    if (weight->stage != stage) continue;
    add_run(self, run, weight->value + run->at, sums);
    memcpy(parts_find_values(&self->parts, run), weight->value + run->at,
           (size_t)run->n * sizeof(float));
  }
}

static esp_status copy_local(training *self, esp_model *from, kinship *sums) {
  for (int stage = ESP_STAGE_EMBED; stage <= from->n_stages; stage++) {
    ESP_TRY(esp_model_load_local(from, stage));
    copy_stage(self, from, stage, sums);
    esp_model_unload(from, stage);
  }
  return ESP_OK;
}

static esp_status copy_all(training *self, esp_model *from, kinship *sums) {
  *sums = (kinship){0};
  ESP_TRY(esp_agree(self->comm, copy_local(self, from, sums)));
  parts_gather(self->comm, &self->parts, NULL);
  return ESP_OK;
}

/* Over all ranks. */
static kinship sum_kinship(const esp_comm *comm, const kinship *own) {
  enum { SUMS = 4 };
  double *all = ESP_NEW(double, (int64_t)SUMS * comm->size);
  kinship sums = {0};
  memcpy(all + (ptrdiff_t)SUMS * comm->rank, own, sizeof *own);
  esp_allreduce_gather_f64(comm, all, (int64_t)SUMS * comm->size);
  for (int r = 0; r < comm->size; r++) {
    const double *of = all + (ptrdiff_t)SUMS * r;
    sums.product += of[0];
    sums.mine += of[1];
    sums.other += of[2];
    sums.count += of[3];
  }
  esp_free(&all);
  return sums;
}

/* Weights of another training have nothing in common with those of this: their cosine is that of
 * random directions, within some 1 / sqrt(count). */
static void warn_if_unrelated(const training *self, const kinship *own) {
  const kinship sums = sum_kinship(self->comm, own);
  const double deviations = 4.0, least = deviations / sqrt(fmax(sums.count, 1.0));
  const double cosine = sums.product / sqrt(fmax(sums.mine * sums.other, 1e-300));
  if (sums.count == 0.0 || cosine > least) return;
  esp_log_warn(
      "--rewind %s: expected early weights of the training that %s is of, found some that "
      "have nothing in common with it (cosine %.3f of %.0f weights); give its OUT.early.h5",
      self->request->rewind->path,
      self->request->model->path ? self->request->model->path : "the model", cosine, sums.count);
}

esp_status rewind_to_model(training *self) {
  kinship sums;
  ESP_TRY(copy_all(self, self->request->rewind, &sums));
  warn_if_unrelated(self, &sums);
  return ESP_OK;
}

esp_status rewind_to_random(training *self) {
  esp_model *again = NULL;
  kinship sums;
  ESP_TRY(esp_agree(self->comm, esp_model_new(self->request->model->config, &again)));
  esp_model_own_all(again);
  again->family->init(again, esp_rng_u64(self->request->seed, STREAM_AGAIN, 0));
  const esp_status status = copy_all(self, again, &sums);
  esp_model_free(&again);
  return status;
}
