#include "config_json.h"
#include "rows.h"

#include "espalier/core/finite.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <stdlib.h>

static int64_t count_row(const esp_weight *weight) {
  return weight->shape[0] > 0 ? esp_weight_count(weight) / weight->shape[0] : 0;
}

void *weight_convert_rows(const esp_weight *weight, int64_t begin, int64_t count) {
  const int64_t row = count_row(weight);
  void *out = esp_alloc(count * row, esp_dtype_bytes(weight->type));
  esp_dtype_from_f32(weight->type, weight->value + begin * row, count * row, out);
  return out;
}

/* Magnitudes from here on are infinite in a type: its largest number and half a step. */
static float find_infinity(esp_dtype type) {
  return type == ESP_F16 ? 65520.0f : type == ESP_BF16 ? 0x1.FFp127f : INFINITY;
}

/* This rank's rows must be finite in the type that they are written in. */
static esp_status check_rows_local(const esp_comm *comm, const esp_weight *weight) {
  const int64_t row = count_row(weight);
  const int64_t end = esp_block_begin(weight->shape[0], comm->size, comm->rank + 1) * row;
  const int64_t begin = esp_block_begin(weight->shape[0], comm->size, comm->rank) * row;
  const int64_t i =
      begin + esp_find_beyond(weight->value + begin, end - begin, find_infinity(weight->type));
  if (i == end) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "weight '%s': expected finite numbers in %s, found %g at element "
                  "%lld; nothing is written",
                  weight->name, esp_dtype_name(weight->type), (double)weight->value[i],
                  (long long)i);
}

esp_status model_load_rows_local(const esp_comm *comm, esp_model *model, int stage) {
  ESP_TRY(esp_model_load_local(model, stage));
  for (int i = 0; i < model->n_weights; i++)
    if (model->weights[i].stage == stage) ESP_TRY(check_rows_local(comm, &model->weights[i]));
  return ESP_OK;
}

static esp_status write_weight(const esp_comm *comm, const esp_weight *weight, esp_h5 *file) {
  const int64_t begin = esp_block_begin(weight->shape[0], comm->size, comm->rank);
  const int64_t end = esp_block_begin(weight->shape[0], comm->size, comm->rank + 1);
  esp_h5_shape shape = {.type = weight->type, .rank = weight->rank};
  for (int axis = 0; axis < weight->rank; axis++) shape.dims[axis] = weight->shape[axis];
  char *name = esp_format("/model/%s", weight->name);
  void *rows = weight_convert_rows(weight, begin, end - begin);
  const esp_h5_slab slab = {.axis = 0, .begin = begin, .count = end - begin};
  const esp_status status = esp_h5_write(file, name, &shape, &slab, rows);
  esp_free(&rows);
  esp_free(&name);
  return status;
}

static esp_status write_stage(const esp_comm *comm, esp_model *model, int stage, esp_h5 *file) {
  esp_status status = esp_agree(comm, model_load_rows_local(comm, model, stage));
  for (int i = 0; i < model->n_weights && status == ESP_OK; i++)
    if (model->weights[i].stage == stage) status = write_weight(comm, &model->weights[i], file);
  esp_model_unload(model, stage);
  return status;
}

esp_status esp_model_write(const esp_comm *comm, esp_model *model, esp_h5 *file) {
  char *config = config_json_dump(model->config, JSON_COMPACT | JSON_SORT_KEYS);
  esp_status status = esp_h5_write_text(file, "/config", config);
  esp_free(&config);
  for (int stage = ESP_STAGE_EMBED; stage <= model->n_stages && status == ESP_OK; stage++)
    status = write_stage(comm, model, stage, file);
  return status;
}
