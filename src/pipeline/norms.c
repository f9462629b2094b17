#include "pipeline.h"

#include <math.h>

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

static esp_status add_squares(esp_model *model, const esp_slice *slice, int64_t units,
                              double *sums) {
  const esp_weight *weight = &model->weights[slice->weight];
  ESP_TRY(esp_model_load_local(model, weight->stage));
  for (int64_t u = 0; u < units; u++)
    for (int64_t i = 0; i < slice->width; i++)
      sums[u] += sum_squares(weight, slice->axis, slice->offset + u * slice->width + i);
  esp_model_unload(model, weight->stage);
  return ESP_OK;
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

esp_status compute_writer_norms(esp_model *model, double *norms) {
  const esp_width *width = &model->width;
  for (int64_t u = 0; u < width->units; u++) norms[u] = 0.0;
  for (int s = 0; s < width->n_slices; s++)
    if (is_writer(model, &width->slices[s]))
      ESP_TRY(add_squares(model, &width->slices[s], width->units, norms));
  for (int64_t u = 0; u < width->units; u++) norms[u] = sqrt(norms[u]);
  return ESP_OK;
}

esp_status compute_unit_norms(esp_model *model, int stage, double *producers, double *consumers) {
  const esp_stage *self = &model->stages[stage];
  for (int64_t u = 0; u < self->units; u++) producers[u] = consumers[u] = 0.0;
  for (int s = 0; s < self->n_producers; s++)
    ESP_TRY(add_squares(model, &self->producers[s], self->units, producers));
  for (int s = 0; s < self->n_consumers; s++)
    ESP_TRY(add_squares(model, &self->consumers[s], self->units, consumers));
  for (int64_t u = 0; u < self->units; u++) {
    producers[u] = sqrt(producers[u]);
    consumers[u] = sqrt(consumers[u]);
  }
  return ESP_OK;
}
