#include "espalier/core/json.h"
#include "espalier/io/tensors.h"

#include "espalier/core/memory.h"
#include "h5_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static esp_status build_local(const char *kind, const char *extra_json, char **text) {
  json_t *meta = esp_json_pack("{s:s, s:i}", "format", kind, "version", ESP_FILE_VERSION);
  json_error_t error;
  json_t *extra = extra_json ? json_loads(extra_json, 0, &error) : json_object();
  esp_status status = ESP_OK;
  if (!json_is_object(extra) || json_object_update_missing(meta, extra) != 0)
    status =
        esp_fail(ESP_FORMAT, "members for /meta of %s are not a JSON object: %s", kind, extra_json);
  if (status == ESP_OK) *text = esp_json_dump(meta, JSON_INDENT(1));
  json_decref(extra);
  json_decref(meta);
  return status;
}

esp_status esp_meta_write(esp_h5 *file, const char *kind, const char *extra_json) {
  char *text = NULL;
  const esp_comm *comm = file->comm;
  esp_status status = comm->rank == 0 ? build_local(kind, extra_json, &text) : ESP_OK;
  status = esp_agree(comm, status);
  if (status == ESP_OK) status = esp_h5_write_text(file, "/meta", text);
  esp_free(&text);
  return status;
}

static esp_status check_members(const char *path, const json_t *meta, const char *kind) {
  const char *found = json_string_value(json_object_get(meta, "format"));
  const json_t *version = json_object_get(meta, "version");
  if (!found || !json_is_integer(version))
    return esp_fail(ESP_FORMAT,
                    "%s: /meta lacks \"format\" or \"version\"; it is not a file of Espalier",
                    path);
  if (strcmp(found, kind) != 0)
    return esp_fail(ESP_FORMAT, "%s is a file of format '%s', '%s' is expected", path, found, kind);
  const json_int_t number = json_integer_value(version);
  if (number < 1 || number > ESP_FILE_VERSION)
    return esp_fail(ESP_FORMAT,
                    "%s has version %lld, this program reads 1 to %d; use a newer Espalier", path,
                    (long long)number, ESP_FILE_VERSION);
  return ESP_OK;
}

static esp_status check(const char *path, const char *text, const char *kind) {
  json_error_t error;
  json_t *meta = json_loads(text, 0, &error);
  const esp_status status =
      meta ? check_members(path, meta, kind)
           : esp_fail(ESP_FORMAT, "%s: /meta is not JSON: %s", path, error.text);
  json_decref(meta);
  return status;
}

esp_status esp_meta_read(esp_h5 *file, const char *kind, char **json) {
  *json = NULL;
  const char *path = file->path;
  if (!esp_h5_has(file, "/meta"))
    return esp_fail(ESP_FORMAT, "%s has no /meta; it is not a file of Espalier", path);
  ESP_TRY(esp_h5_read_text(file, "/meta", json));
  const esp_status status = esp_agree(file->comm, check(path, *json, kind));
  if (status != ESP_OK) esp_free(json);
  return status;
}
