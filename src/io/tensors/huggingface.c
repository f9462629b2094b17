#include "safetensors.h"
#include "tensors_format.h"

#include "espalier/core/memory.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of Hugging Face's transformers: config.json, and model.safetensors or
 * model.safetensors.index.json, whose "weight_map" tells the files in the same folder. Which tensor
 * is in which of them, their headers say. */

#define CONFIG "config.json"
#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define ADAPTER \
  "an adapter; merge it into its base model first: merge_and_unload and save_pretrained of peft"
#define CONVERT "convert them to safetensors: save_pretrained of transformers writes it"

/* Files that other programs keep weights in, and what to do about them. */
static const struct {
  const char *file, *advice;
} foreign[] = {
    {"pytorch_model.bin", "PyTorch weights; " CONVERT},
    {"pytorch_model.bin.index.json", "PyTorch weights; " CONVERT},
    {"tf_model.h5", "TensorFlow weights; " CONVERT},
    {"flax_model.msgpack", "Flax weights; " CONVERT},
    {"adapter_config.json", ADAPTER},
    {"adapter_model.safetensors", ADAPTER},
    {"adapter_model.bin", ADAPTER},
};
enum { FOREIGN_COUNT = sizeof foreign / sizeof *foreign };

static bool has_file(const char *folder, const char *name) {
  char *path = esp_format("%s/%s", folder, name);
  const bool there = access(path, F_OK) == 0;
  esp_free(&path);
  return there;
}

/* The first of the foreign files that the folder has; -1: none. */
static int find_foreign(const char *folder) {
  for (int i = 0; i < FOREIGN_COUNT; i++)
    if (has_file(folder, foreign[i].file)) return i;
  return -1;
}

static bool probe(const char *path) {
  struct stat about;
  if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)) return false;
  return has_file(path, CONFIG) || has_file(path, SINGLE) || has_file(path, INDEX) ||
         find_foreign(path) >= 0;
}

static esp_status fail_without_weights(const char *folder) {
  const int found = find_foreign(folder);
  if (found >= 0)
    return esp_fail(ESP_FORMAT, "%s: " SINGLE " or " INDEX " is expected, found %s: %s", folder,
                    foreign[found].file, foreign[found].advice);
  return esp_fail(
      ESP_FORMAT,
      "%s: " SINGLE " or " INDEX " is expected beside " CONFIG
      ", neither is there; the checkpoint is incomplete (espalier plan needs no weights, and "
      "espalier train takes " CONFIG " itself for a new model)",
      folder);
}

static esp_status check_text(const char *path, const char *text, int64_t bytes) {
  if ((int64_t)strlen(text) == bytes) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: JSON text is expected, found a zero byte at %zu", path,
                  strlen(text));
}

static esp_status fail_without_config(const char *folder) {
  const int found = find_foreign(folder);
  if (found >= 0)
    return esp_fail(ESP_FORMAT, "%s has no " CONFIG ", but %s: %s", folder, foreign[found].file,
                    foreign[found].advice);
  return esp_fail(ESP_FORMAT,
                  "%s has no " CONFIG "; a Hugging Face folder with configuration and weights is "
                  "expected",
                  folder);
}

static esp_status read_config(const char *folder, esp_tensor_set *set) {
  if (!has_file(folder, CONFIG)) return fail_without_config(folder);
  int64_t bytes;
  char *path = esp_format("%s/" CONFIG, folder);
  esp_status status = esp_read_small_text(path, &set->config, &bytes);
  if (status == ESP_OK) status = check_text(path, set->config, bytes);
  esp_free(&path);
  return status;
}

/* Names with a slash, "." and ".." could lead out of the folder. */
static bool is_plain_name(const char *name) {
  return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

esp_status esp_weight_map_parse(const char *path, const char *text, int64_t bytes, json_t **map) {
  const char *tensor;
  json_t *file;
  json_error_t error;
  json_t *index = json_loadb(text, (size_t)bytes, JSON_REJECT_DUPLICATES, &error);
  esp_status status = ESP_OK;
  *map = json_object_get(index, "weight_map");
  if (!index)
    status = esp_fail(ESP_FORMAT, "%s is not good JSON: line %d: %s", path, error.line, error.text);
  else if (json_object_size(*map) == 0)
    status = esp_fail(ESP_FORMAT, "%s has no \"weight_map\" of tensors and their files", path);
  json_object_foreach(*map, tensor, file) {
    const char *name = json_string_value(file);
    if (status == ESP_OK && !(name && is_plain_name(name)))
      status =
          esp_fail(ESP_FORMAT,
                   "%s: tensor %.200s: the name of a file in the same folder is expected, found "
                   "%.200s",
                   path, tensor, name ? name : "no text");
  }
  *map = status == ESP_OK ? json_incref(*map) : NULL;
  json_decref(index);
  return status;
}

static esp_status read_weight_map(const char *folder, json_t **map) {
  char *text, *path = esp_format("%s/" INDEX, folder);
  int64_t bytes;
  *map = NULL;
  esp_status status = esp_read_small_text(path, &text, &bytes);
  if (status == ESP_OK) status = esp_weight_map_parse(path, text, bytes, map);
  esp_free(&text);
  esp_free(&path);
  return status;
}

static esp_status read_shard(esp_tensor_set *set, const char *file, esp_tensor_list *list) {
  char *path = esp_format("%s/%s", set->path, file);
  set->files[set->n_files++] = path;
  return esp_safetensors_read(path, set->n_files - 1, list);
}

/* What shards hold counts, whatever the index says of it, but listed tensors must be somewhere. */
static esp_status check_complete(const char *folder, json_t *map, const esp_tensor_list *list) {
  const char *tensor = NULL;
  json_t *file, *missing = json_copy(map);
  for (int i = 0; i < list->count; i++) json_object_del(missing, list->tensors[i].name);
  esp_status status = ESP_OK;
  json_object_foreach(missing, tensor, file) {
    status = esp_fail(ESP_FORMAT,
                      "%s/%s lacks the tensor %.200s, which " INDEX
                      " seeks there, and so do all others; get the checkpoint again",
                      folder, json_string_value(file), tensor);
    break;
  }
  json_decref(missing);
  return status;
}

/* The files that a map names, each once, in the order of their first tensors. */
static json_t *list_files(json_t *map) {
  const char *tensor;
  json_t *file, *files = json_object();
  json_object_foreach(map, tensor, file) {
    json_object_set_new(files, json_string_value(file), json_null());
  }
  return files;
}

static esp_status read_shards(esp_tensor_set *set, json_t *map, esp_tensor_list *list) {
  const char *file;
  json_t *nothing, *files = list_files(map);
  esp_status status = ESP_OK;
  set->files = ESP_NEW(char *, (int64_t)json_object_size(files));
  json_object_foreach(files, file, nothing) {
    if (status == ESP_OK) status = read_shard(set, file, list);
  }
  json_decref(files);
  return status == ESP_OK ? check_complete(set->path, map, list) : status;
}

static esp_status read_sharded(esp_tensor_set *set, esp_tensor_list *list) {
  json_t *map;
  ESP_TRY(read_weight_map(set->path, &map));
  const esp_status status = read_shards(set, map, list);
  json_decref(map);
  return status;
}

static esp_status read_tensors(esp_tensor_set *set, esp_tensor_list *list) {
  if (!has_file(set->path, SINGLE) && has_file(set->path, INDEX)) return read_sharded(set, list);
  if (!has_file(set->path, SINGLE)) return fail_without_weights(set->path);
  set->files = ESP_NEW(char *, 1);
  return read_shard(set, SINGLE, list);
}

static esp_status open_set(const char *path, esp_tensor_set *set) {
  esp_tensor_list list = {0};
  ESP_TRY(read_config(path, set));
  const esp_status status = read_tensors(set, &list);
  set->tensors = list.tensors;
  set->n_tensors = list.count;
  set->is_masked = list.is_masked;
  return status;
}

const esp_tensor_format esp_tensor_format_huggingface = {"Hugging Face folder", probe, open_set};
