/* A model as its configuration describes it, before its weights are there. */
#include "config_json.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/model/model.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG "config.json"

static bool is_json(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot && strcmp(dot, ".json") == 0;
}

static bool has_file(const char *folder, const char *name) {
  char *path = esp_format("%s/%s", folder, name);
  const bool there = access(path, F_OK) == 0;
  esp_free(&path);
  return there;
}

static bool is_folder(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* Weights of other programs are for the opening of checkpoints to name. */
static bool has_weights(const char *folder) {
  static const char *const names[] = {"model.safetensors",  "model.safetensors.index.json",
                                      "pytorch_model.bin",  "pytorch_model.bin.index.json",
                                      "tf_model.h5",        "flax_model.msgpack",
                                      "adapter_config.json"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (has_file(folder, names[i])) return true;
  return false;
}

/* The configuration's path, owned by the caller; NULL: there are weights, or neither. */
static char *find_configuration_local(const char *path) {
  if (is_folder(path))
    return has_file(path, CONFIG) && !has_weights(path) ? esp_format("%s/" CONFIG, path) : NULL;
  return is_json(path) ? esp_strdup(path) : NULL;
}

static esp_status find_type(const json_t *config, esp_dtype *type) {
  static const struct {
    const char *name;
    esp_dtype type;
  } types[] = {
      {"float32", ESP_F32}, {"float16", ESP_F16}, {"bfloat16", ESP_BF16}, {"float64", ESP_F64}};
  const json_t *named = json_object_get(config, "dtype");
  if (!json_is_string(named)) named = json_object_get(config, "torch_dtype");
  const char *name = json_is_string(named) ? json_string_value(named) : "float32";
  if (strncmp(name, "torch.", strlen("torch.")) == 0) name += strlen("torch.");
  for (unsigned i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i].name, name) == 0) {
      *type = types[i].type;
      return ESP_OK;
    }
  return esp_fail(ESP_FORMAT,
                  "configuration: expected dtype float32, float16, bfloat16 or float64, found "
                  "'%.80s'; check config.json",
                  name);
}

static esp_status describe_local(const char *text, esp_model **model) {
  json_t *config = NULL;
  esp_dtype type = ESP_F32;
  ESP_TRY(config_json_parse(text, &config));
  esp_status status = find_type(config, &type);
  if (status == ESP_OK) status = esp_model_new(config, model);
  json_decref(config);
  for (int i = 0; status == ESP_OK && i < (*model)->n_weights; i++)
    (*model)->weights[i].type = type;
  return status;
}

static esp_status open_configuration(const esp_comm *comm, const char *path, esp_model **model) {
  char *text = NULL;
  int64_t bytes;
  ESP_TRY(esp_file_read(comm, path, &text, &bytes));
  esp_status status = describe_local(text, model);
  esp_free(&text);
  if (status != ESP_OK) return esp_fail(status, "%s: %s", path, esp_failure_text());
  (*model)->path = esp_strdup(path);
  esp_log_info("%s: planned from the configuration alone: weights of %s", path,
               (*model)->n_weights > 0 ? esp_dtype_name((*model)->weights[0].type) : "no type");
  return ESP_OK;
}

esp_status esp_model_open_described(const esp_comm *comm, const char *path, const char *ignored,
                                    esp_model **model) {
  char *configuration = comm->rank == 0 ? find_configuration_local(path) : NULL;
  *model = NULL;
  esp_bcast_text(comm, &configuration, 0);
  if (!configuration) return esp_model_open_ignoring(comm, path, ignored, model);
  const esp_status status = esp_agree(comm, open_configuration(comm, configuration, model));
  esp_free(&configuration);
  if (status != ESP_OK) esp_model_free(model);
  return status;
}
