#include "espalier/model/family.h"

#include "espalier/core/clones.h"
#include "espalier/core/hash.h"
#include "espalier/core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *grow(void *old, int count, size_t size) {
  if (count & (count - 1)) return old; // capacity is the next power of two
  void *bigger = esp_alloc(count > 0 ? 2 * (int64_t)count : 1, size);
  if (old) memcpy(bigger, old, (size_t)count * size);
  esp_release(old);
  return bigger;
}

int esp_model_add_weight(esp_model *model, esp_weight_shape shape, const char *format, ...) {
  char name[192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  model->weights = grow(model->weights, model->n_weights, sizeof *model->weights);
  esp_weight *weight = &model->weights[model->n_weights];
  weight->name = esp_strdup(name);
  weight->type = ESP_F32;
  weight->rank = shape.rank;
  weight->stage = shape.stage;
  memcpy(weight->shape, shape.dims, sizeof weight->shape);
  memcpy(weight->stored_shape, shape.dims, sizeof weight->stored_shape);
  return model->n_weights++;
}

esp_stage *esp_model_add_stage(esp_model *model) {
  model->stages = grow(model->stages, model->n_stages, sizeof *model->stages);
  model->stages[model->n_stages].per_group = 1;
  return &model->stages[model->n_stages++];
}

bool esp_model_has_width_axis(const esp_model *model, int weight, int axis) {
  for (int i = 0; i < model->width.n_slices; i++)
    if (model->width.slices[i].weight == weight && model->width.slices[i].axis == axis) return true;
  return false;
}

void esp_model_add_width(esp_model *model, int weight, int axis) {
  esp_width *width = &model->width;
  if (esp_model_has_width_axis(model, weight, axis)) return;
  const int64_t units = model->weights[weight].shape[axis];
  ESP_ASSERT(width->units == 0 || width->units == units);
  width->units = units;
  width->slices = grow(width->slices, width->n_slices, sizeof *width->slices);
  width->slices[width->n_slices++] = (esp_slice){weight, axis, 0, 1};
}

void esp_model_add_reader(esp_model *model, int stage, const esp_linear *linear) {
  esp_width *width = &model->width;
  esp_model_add_width(model, linear->weight, linear->input_major ? 0 : 1);
  ESP_ASSERT(width->n_readers == 0 || width->readers[width->n_readers - 1].stage <= stage);
  width->readers = grow(width->readers, width->n_readers, sizeof *width->readers);
  width->readers[width->n_readers++] = (esp_reader){stage, *linear};
}

const esp_reader *esp_model_get_readers(const esp_model *model, int stage, int *n) {
  const esp_reader *first = NULL;
  *n = 0;
  for (int i = 0; i < model->width.n_readers; i++) {
    if (model->width.readers[i].stage != stage) continue;
    if (!first) first = &model->width.readers[i];
    ++*n;
  }
  return first;
}

static void widen(esp_slice *slices, int n, int64_t factor) {
  for (int i = 0; i < n; i++) slices[i].width *= factor;
}

void esp_stage_merge_groups(esp_stage *stage) {
  const int64_t n = stage->per_group;
  if (n == 1) return;
  widen(stage->producers, stage->n_producers, n);
  widen(stage->consumers, stage->n_consumers, n);
  stage->units /= n;
  stage->width *= n;
  stage->per_group = 1;
  ESP_ASSERT(stage->n_producers + stage->n_shared <= ESP_MAX_SLICES);
  for (int i = 0; i < stage->n_shared; i++)
    stage->producers[stage->n_producers++] = stage->shared[i];
  stage->n_shared = 0;
}

void esp_model_own_all(esp_model *model) {
  for (int i = 0; i < model->n_weights; i++) esp_weight_own(&model->weights[i]);
}

static void clear_weight(esp_weight *weight) {
  esp_free(&weight->name);
  for (int axis = 0; axis < ESP_MAX_RANK; axis++) esp_free(&weight->keep[axis]);
  esp_free(&weight->mask);
  esp_free(&weight->drawn);
  if (weight->is_owned) esp_free(&weight->value);
}

void esp_model_free(esp_model **model) {
  esp_model *self = *model;
  if (!self) return;
  for (int i = 0; i < self->n_weights; i++) clear_weight(&self->weights[i]);
  esp_free(&self->weights);
  esp_free(&self->stages);
  esp_free(&self->width.slices);
  esp_free(&self->width.readers);
  esp_free(&self->shape);
  esp_free(&self->path);
  esp_free(&self->details);
  json_decref(self->config);
  esp_tensor_set_close(&self->source);
  esp_free(model);
}

int64_t esp_model_count_parameters(const esp_model *model) {
  int64_t count = 0;
  for (int i = 0; i < model->n_weights; i++) count += esp_weight_count(&model->weights[i]);
  return count;
}

ESP_CLONES static int64_t count_nonzero(int64_t n, const float *values) {
  int64_t count = 0;
  for (int64_t j = 0; j < n; j++) count += values[j] != 0.0f;
  return count;
}

esp_status esp_model_count_nonzero_local(esp_model *model, int64_t *count) {
  *count = 0;
  for (int stage = ESP_STAGE_EMBED; stage <= model->n_stages; stage++) {
    ESP_TRY(esp_model_load_local(model, stage));
    for (int i = 0; i < model->n_weights; i++)
      if (model->weights[i].stage == stage)
        *count += count_nonzero(esp_weight_count(&model->weights[i]), model->weights[i].value);
    esp_model_unload(model, stage);
  }
  return ESP_OK;
}

static bool has_weight(const esp_slice *slices, int n, int weight) {
  for (int i = 0; i < n; i++)
    if (slices[i].weight == weight) return true;
  return false;
}

bool esp_model_is_prunable(const esp_model *model, int weight) {
  if (model->weights[weight].rank < 2) return false;
  for (int i = 0; i < model->n_stages; i++) {
    const esp_stage *stage = &model->stages[i];
    if (has_weight(stage->producers, stage->n_producers, weight) ||
        has_weight(stage->consumers, stage->n_consumers, weight))
      return true;
  }
  return false;
}

int64_t esp_model_count_prunable(const esp_model *model) {
  int64_t count = 0;
  for (int i = 0; i < model->n_weights; i++)
    if (esp_model_is_prunable(model, i)) count += esp_weight_count(&model->weights[i]);
  return count;
}
