#include "espalier/model/model.h"

#include "espalier/core/memory.h"

#include <stdlib.h>

static esp_status fail_member(const json_t *config, const char *key, const char *expected) {
  const json_t *found = json_object_get(config, key);
  char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
  const esp_status status =
      esp_fail(ESP_FORMAT, "configuration: expected %s for '%s', found %.80s; check config.json",
               expected, key, text ? text : "nothing");
  free(text);
  return status;
}

esp_status esp_config_get_int(const json_t *config, const char *key, int64_t low, int64_t *value) {
  const json_t *found = json_object_get(config, key);
  if (!json_is_integer(found) || json_integer_value(found) < low) {
    char *expected = esp_format("an integer >= %lld", (long long)low);
    const esp_status status = fail_member(config, key, expected);
    esp_free(&expected);
    return status;
  }
  *value = json_integer_value(found);
  return ESP_OK;
}

esp_status esp_config_get_real(const json_t *config, const char *key, double *value) {
  const json_t *found = json_object_get(config, key);
  if (!json_is_number(found)) return fail_member(config, key, "a number");
  *value = json_number_value(found);
  return ESP_OK;
}

esp_status esp_config_get_text(const json_t *config, const char *key, const char **value) {
  const json_t *found = json_object_get(config, key);
  if (!json_is_string(found)) return fail_member(config, key, "a text");
  *value = json_string_value(found);
  return ESP_OK;
}
