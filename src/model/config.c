#include "espalier/model/config.h"

#include "config_json.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <stdlib.h>

static esp_status fail_member(const json_t *config, const char *key, const char *expected) {
  const json_t *found = json_object_get(config, key);
  char *text =
      found ? config_json_dump(found, JSON_ENCODE_ANY | JSON_COMPACT) : esp_strdup("nothing");
  const esp_status status =
      esp_fail(ESP_FORMAT, "configuration: expected %s for '%s', found %.80s; check config.json",
               expected, key, text);
  esp_free(&text);
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

/* Integers too large for jansson are numbers too. */
esp_status esp_config_get_real(const json_t *config, const char *key, double *value) {
  const json_t *found = json_object_get(config, key);
  const char *large = config_json_get_number(found);
  if (!json_is_number(found) && !large) return fail_member(config, key, "a number");
  *value = large ? strtod(large, NULL) : json_number_value(found);
  return isfinite(*value) ? ESP_OK : fail_member(config, key, "a finite number");
}

esp_status esp_config_get_text(const json_t *config, const char *key, const char **value) {
  const json_t *found = json_object_get(config, key);
  if (!json_is_string(found) || config_json_get_number(found))
    return fail_member(config, key, "a text");
  *value = json_string_value(found);
  return ESP_OK;
}
