#include "evidence.h"

#include <math.h>

enum { NOTHING_LOADED = -2 };

/* Indices of a weight's elements with index i on an axis form `outer` runs of `inner` elements. */
static double sum_squares(const esp_weight *weight, int axis, int64_t index) {
  int64_t inner = 1, outer = 1;
  for (int a = 0; a < weight->rank; a++)
    *(a < axis ? &outer : &inner) *= a == axis ? 1 : weight->shape[a];
  const int64_t n = weight->shape[axis];
  double sum = 0.0;
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      const double value = weight->value[(o * n + index) * inner + i];
      sum += value * value;
    }
  return sum;
}

/* Slices one after the other; those of one stage follow each other, so that it is loaded once. */
typedef struct reading {
  esp_model *model;
  int stage; // that is loaded
} reading;

static esp_status load_for(reading *self, const esp_weight *weight) {
  if (weight->stage == self->stage) return ESP_OK;
  if (self->stage != NOTHING_LOADED) esp_model_unload(self->model, self->stage);
  self->stage = weight->stage;
  return esp_model_load_local(self->model, weight->stage);
}

static void end_reading(reading *self) {
  if (self->stage != NOTHING_LOADED) esp_model_unload(self->model, self->stage);
  self->stage = NOTHING_LOADED;
}

static esp_status add_squares(reading *self, const esp_slice *slice, int64_t units, double *sums) {
  const esp_weight *weight = &self->model->weights[slice->weight];
  ESP_TRY(load_for(self, weight));
  for (int64_t u = 0; u < units; u++)
    for (int64_t i = 0; i < slice->width; i++)
      sums[u] += sum_squares(weight, slice->axis, slice->offset + u * slice->width + i);
  return ESP_OK;
}

static void take_roots(int64_t units, double *sums) {
  for (int64_t u = 0; u < units; u++) sums[u] = sqrt(sums[u]);
}

static bool is_reader(const esp_model *model, int weight) {
  for (int i = 0; i < model->width.n_readers; i++)
    if (model->width.readers[i].linear.weight == weight) return true;
  return false;
}

/* Norms of sub-layers scale all of what is written, and are left out; a tied head's columns are
 * written first. */
static bool is_writer(const esp_model *model, const esp_slice *slice) {
  const esp_weight *weight = &model->weights[slice->weight];
  return weight->rank > 1 && (weight->stage == ESP_STAGE_EMBED || !is_reader(model, slice->weight));
}

esp_status norms_compute_writers_local(esp_model *model, double *norms) {
  const esp_width *width = &model->width;
  reading self = {model, NOTHING_LOADED};
  esp_status status = ESP_OK;
  for (int64_t u = 0; u < width->units; u++) norms[u] = 0.0;
  for (int s = 0; s < width->n_slices && status == ESP_OK; s++)
    if (is_writer(model, &width->slices[s]))
      status = add_squares(&self, &width->slices[s], width->units, norms);
  end_reading(&self);
  take_roots(width->units, norms);
  return status;
}

static esp_status add_slices(reading *self, const esp_slice *slices, int n, int64_t units,
                             double *sums) {
  for (int64_t u = 0; u < units; u++) sums[u] = 0.0;
  for (int s = 0; s < n; s++) ESP_TRY(add_squares(self, &slices[s], units, sums));
  take_roots(units, sums);
  return ESP_OK;
}

esp_status norms_compute_local(esp_model *model, int stage, double *producers, double *consumers) {
  const esp_stage *of = &model->stages[stage];
  reading self = {model, NOTHING_LOADED};
  esp_status status = add_slices(&self, of->producers, of->n_producers, of->units, producers);
  if (status == ESP_OK)
    status = add_slices(&self, of->consumers, of->n_consumers, of->units, consumers);
  end_reading(&self);
  return status;
}
