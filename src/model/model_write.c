#include "config_json.h"
#include "drawn.h"
#include "rows.h"

#include "espalier/core/memory.h"

#include <stdlib.h>

static esp_status write_rows(const esp_weight *weight, esp_h5 *file, const esp_h5_slab *slab,
                             const void *rows) {
  esp_h5_shape shape = {.type = weight->type, .rank = weight->rank};
  for (int axis = 0; axis < weight->rank; axis++) shape.dims[axis] = weight->shape[axis];
  char *name = esp_format("/model/%s", weight->name);
  const esp_status status = esp_h5_write(file, name, &shape, slab, rows);
  esp_free(&name);
  return status;
}

static esp_status write_weight(const esp_comm *comm, const esp_weight *weight, esp_h5 *file) {
  const int64_t begin = esp_block_begin(weight->shape[0], comm->size, comm->rank);
  const int64_t end = esp_block_begin(weight->shape[0], comm->size, comm->rank + 1);
  const esp_h5_slab slab = {.axis = 0, .begin = begin, .count = end - begin};
  weight_rows rows;
  esp_status status = esp_agree(comm, weight_rows_take(weight, begin, end - begin, &rows));
  if (status == ESP_OK) status = write_rows(weight, file, &slab, rows.data);
  weight_rows_clear(&rows);
  return status;
}

static esp_status write_as_is_smaller(const esp_comm *comm, const esp_model *model, int weight,
                                      esp_h5 *file) {
  bool is_done;
  ESP_TRY(drawn_write(model, weight, file, &is_done));
  return is_done ? ESP_OK : write_weight(comm, &model->weights[weight], file);
}

static esp_status write_stage(const esp_comm *comm, esp_model *model, int stage, esp_h5 *file) {
  esp_status status = ESP_OK;
  for (int i = 0; i < model->n_weights && status == ESP_OK; i++)
    if (model->weights[i].stage == stage) status = write_as_is_smaller(comm, model, i, file);
  return status;
}

esp_status esp_model_write(const esp_comm *comm, esp_model *model, esp_h5 *file) {
  char *config = config_json_dump(model->config, JSON_COMPACT | JSON_SORT_KEYS);
  esp_status status = esp_h5_write_text(file, "/config", config);
  esp_free(&config);
  if (status == ESP_OK) status = drawn_write_seed(model, file);
  for (int stage = ESP_STAGE_EMBED; stage <= model->n_stages && status == ESP_OK; stage++)
    status = write_stage(comm, model, stage, file);
  return status;
}
