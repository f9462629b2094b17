#include "rows.h"

#include "espalier/core/memory.h"
#include "espalier/io/safetensors_write.h"

#include <string.h>

/* Tensors stand in the file in the order in which stages are loaded. */
static int *order_by_stage(const esp_model *model) {
  int *order = ESP_NEW(int, model->n_weights), n = 0;
  for (int stage = ESP_STAGE_EMBED; stage <= model->n_stages; stage++)
    for (int i = 0; i < model->n_weights; i++)
      if (model->weights[i].stage == stage) order[n++] = i;
  ESP_ASSERT(n == model->n_weights);
  return order;
}

static esp_safetensors_entry describe(const esp_weight *weight) {
  esp_safetensors_entry entry = {.name = weight->name, .type = weight->type, .rank = weight->rank};
  memcpy(entry.shape, weight->shape, sizeof entry.shape);
  return entry;
}

static esp_status write_weight(const esp_comm *comm, const esp_weight *weight,
                               esp_safetensors_writer *writer, int tensor) {
  const esp_safetensors_rows mine = esp_safetensors_get_rows_local(writer, tensor);
  weight_rows rows;
  esp_status status = esp_agree(comm, weight_rows_take(weight, mine.begin, mine.count, &rows));
  if (status == ESP_OK) status = esp_safetensors_write(writer, tensor, rows.data);
  weight_rows_clear(&rows);
  return status;
}

static esp_status write_all(const esp_comm *comm, esp_model *model, const int *order,
                            esp_safetensors_writer *writer) {
  esp_status status = ESP_OK;
  for (int tensor = 0; tensor < model->n_weights && status == ESP_OK; tensor++)
    status = write_weight(comm, &model->weights[order[tensor]], writer, tensor);
  return status;
}

static esp_status write_planned(const esp_comm *comm, esp_model *model, const int *order,
                                const esp_safetensors_plan *plan, esp_model_files *files) {
  esp_safetensors_writer *writer = NULL;
  ESP_TRY(esp_safetensors_create(comm, plan, &writer));
  *files = (esp_model_files){esp_safetensors_count_files_local(writer),
                             esp_safetensors_count_bytes_local(writer)};
  esp_status status = write_all(comm, model, order, writer);
  if (status == ESP_OK) status = esp_safetensors_commit(&writer);
  esp_safetensors_close(&writer);
  return status;
}

esp_status esp_model_write_safetensors(const esp_comm *comm, esp_model *model, const char *folder,
                                       int64_t max_shard_bytes, esp_model_files *files) {
  int *order = order_by_stage(model);
  esp_safetensors_entry *entries = ESP_NEW(esp_safetensors_entry, model->n_weights);
  for (int i = 0; i < model->n_weights; i++) entries[i] = describe(&model->weights[order[i]]);
  const esp_safetensors_plan plan = {folder, entries, model->n_weights, max_shard_bytes,
                                     model->is_masked};
  const esp_status status = write_planned(comm, model, order, &plan, files);
  esp_free(&entries);
  esp_free(&order);
  return status;
}
