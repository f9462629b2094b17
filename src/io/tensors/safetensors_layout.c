#include "safetensors_layout.h"
#include "safetensors.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, ALIGNMENT = 8, MOST_ELEMENT_BYTES = 8 };

static esp_status measure(const esp_safetensors_entry *entry, int64_t *bytes) {
  *bytes = (int64_t)esp_dtype_bytes(entry->type);
  for (int d = 0; d < entry->rank; d++)
    if (entry->shape[d] < 0 || __builtin_mul_overflow(*bytes, entry->shape[d], bytes))
      return esp_fail(ESP_MISMATCH, "tensor %.200s has a shape that no file can hold", entry->name);
  return ESP_OK;
}

static esp_status check_names(const esp_safetensors_plan *plan) {
  json_t *seen = json_object();
  esp_status status = ESP_OK;
  for (int i = 0; i < plan->count && status == ESP_OK; i++) {
    if (json_object_get(seen, plan->entries[i].name))
      status =
          esp_fail(ESP_MISMATCH, "tensor %.200s is to be written twice", plan->entries[i].name);
    json_object_set_new(seen, plan->entries[i].name, json_null());
  }
  json_decref(seen);
  return status;
}

/* Fill shards one after the other, as transformers does. */
static esp_status deal(safetensors_layout *self, const esp_safetensors_plan *plan) {
  const int64_t most = plan->max_shard_bytes > 0 ? plan->max_shard_bytes : INT64_MAX;
  int64_t used = 0;
  self->n_shards = 1;
  for (int i = 0; i < plan->count; i++) {
    safetensors_place *place = &self->places[i];
    ESP_TRY(measure(&plan->entries[i], &place->bytes));
    if (used > 0 && place->bytes > most - used) {
      self->n_shards++;
      used = 0;
    }
    if (__builtin_add_overflow(used, place->bytes, &used))
      return esp_fail(ESP_MISMATCH, "the tensors have more bytes than any file can hold");
    place->shard = self->n_shards - 1;
  }
  return ESP_OK;
}

static json_t *describe(const esp_safetensors_entry *entry, int64_t begin, int64_t bytes) {
  json_t *shape = json_array();
  for (int d = 0; d < entry->rank; d++) json_array_append_new(shape, json_integer(entry->shape[d]));
  return esp_json_pack("{s:s, s:o, s:[I, I]}", "dtype", esp_dtype_name(entry->type), "shape", shape,
                       "data_offsets", (json_int_t)begin, (json_int_t)(begin + bytes));
}

static json_t *begin_header(const esp_safetensors_plan *plan) {
  json_t *metadata = esp_json_pack("{s:s}", "format", "pt");
  if (plan->is_masked)
    json_object_set_new(metadata, ESP_SAFETENSORS_OURS, esp_json_text(ESP_SAFETENSORS_MASKED));
  return esp_json_pack("{s:o}", ESP_SAFETENSORS_METADATA, metadata);
}

/* Larger elements first, so that each tensor is aligned to its own. Offsets are those in the data.
 */
static json_t *place_tensors(safetensors_layout *self, const esp_safetensors_plan *plan, int shard,
                             int64_t *data_bytes) {
  json_t *header = begin_header(plan);
  *data_bytes = 0;
  for (size_t size = MOST_ELEMENT_BYTES; size > 0; size /= 2)
    for (int i = 0; i < plan->count; i++) {
      safetensors_place *place = &self->places[i];
      if (place->shard != shard || esp_dtype_bytes(plan->entries[i].type) != size) continue;
      place->offset = *data_bytes;
      *data_bytes += place->bytes;
      json_object_set_new(header, plan->entries[i].name,
                          describe(&plan->entries[i], place->offset, place->bytes));
    }
  return header;
}

/* The length word and the header, padded with spaces. */
static void print_head(const json_t *header, safetensors_shard *shard) {
  char *text = esp_json_dump(header, JSON_COMPACT);
  const size_t length = strlen(text), padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  shard->head_bytes = (int64_t)(LENGTH_BYTES + padded);
  shard->head = esp_alloc(shard->head_bytes, 1);
  memset(shard->head, ' ', (size_t)shard->head_bytes);
  for (int i = 0; i < LENGTH_BYTES; i++) shard->head[i] = (char)(padded >> 8 * i & 0xFF);
  memcpy(shard->head + LENGTH_BYTES, text, length);
  esp_free(&text);
}

static void fill_shard(safetensors_layout *self, const esp_safetensors_plan *plan, int index) {
  int64_t data_bytes;
  safetensors_shard *shard = &self->shards[index];
  json_t *header = place_tensors(self, plan, index, &data_bytes);
  print_head(header, shard);
  json_decref(header);
  shard->bytes = shard->head_bytes + data_bytes;
  for (int i = 0; i < plan->count; i++)
    if (self->places[i].shard == index) self->places[i].offset += shard->head_bytes;
  shard->name = self->n_shards == 1
                    ? esp_strdup("model.safetensors")
                    : esp_format("model-%05d-of-%05d.safetensors", index + 1, self->n_shards);
}

static char *print_index(const safetensors_layout *self, const esp_safetensors_plan *plan) {
  int64_t bytes = 0, parameters = 0;
  json_t *map = json_object();
  for (int i = 0; i < plan->count; i++) {
    const safetensors_place *place = &self->places[i];
    bytes += place->bytes;
    parameters += place->bytes / (int64_t)esp_dtype_bytes(plan->entries[i].type);
    json_object_set_new(map, plan->entries[i].name, esp_json_text(self->shards[place->shard].name));
  }
  json_t *index =
      esp_json_pack("{s:{s:I, s:I}, s:o}", "metadata", "total_parameters", (json_int_t)parameters,
                    "total_size", (json_int_t)bytes, "weight_map", map);
  char *dump = esp_json_dump(index, JSON_INDENT(2) | JSON_SORT_KEYS);
  char *text = esp_format("%s\n", dump);
  esp_free(&dump);
  json_decref(index);
  return text;
}

esp_status safetensors_layout_init(safetensors_layout *self, const esp_safetensors_plan *plan) {
  *self = (safetensors_layout){.n_tensors = plan->count,
                               .places = ESP_NEW(safetensors_place, plan->count)};
  ESP_TRY(check_names(plan));
  ESP_TRY(deal(self, plan));
  self->shards = ESP_NEW(safetensors_shard, self->n_shards);
  for (int i = 0; i < self->n_shards; i++) fill_shard(self, plan, i);
  if (self->n_shards > 1) self->index = print_index(self, plan);
  return ESP_OK;
}

void safetensors_layout_clear(safetensors_layout *self) {
  for (int i = 0; i < self->n_shards && self->shards; i++) {
    esp_free(&self->shards[i].name);
    esp_free(&self->shards[i].head);
  }
  esp_free(&self->shards);
  esp_free(&self->places);
  esp_free(&self->index);
}
