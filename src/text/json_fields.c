#include "json_fields.h"

#include "espalier/core/named.h"

#include <inttypes.h>

enum { MOST_SHOWN = 80 };

int span_shown(span text) {
  return (int)(text.count < MOST_SHOWN ? text.count : MOST_SHOWN);
}

static esp_status fail(const json_place *of, const char *key, const char *expected,
                       const json_t *found) {
  static const char *const types[] = {"an object",     "an array", "a string", "an integer",
                                      "a real number", "true",     "false",    "null"};
  return esp_fail(ESP_FORMAT, "%s: %s: %s is expected, found %s; repair the file, or take another",
                  of->name, key, expected, found ? types[json_typeof(found)] : "nothing");
}

static const json_t *get(const json_place *of, const char *key) {
  const json_t *value = json_object_get(of->object, key);
  return json_is_null(value) ? NULL : value;
}

esp_status field_text(const json_place *of, const char *key, span *value) {
  const json_t *found = get(of, key);
  if (!json_is_string(found)) return fail(of, key, "a string", found);
  *value = (span){json_string_value(found), (int64_t)json_string_length(found)};
  return ESP_OK;
}

esp_status field_text_or_none(const json_place *of, const char *key, span *value) {
  *value = (span){NULL, 0};
  return get(of, key) ? field_text(of, key, value) : ESP_OK;
}

esp_status field_flag(const json_place *of, const char *key, bool initial, bool *value) {
  const json_t *found = get(of, key);
  if (found && !json_is_boolean(found)) return fail(of, key, "true or false", found);
  *value = found ? json_is_true(found) : initial;
  return ESP_OK;
}

esp_status field_integer(const json_place *of, const char *key, field_range range, int64_t *value) {
  const json_t *found = get(of, key);
  *value = range.initial;
  if (!found) return ESP_OK;
  if (!json_is_integer(found)) return fail(of, key, "an integer", found);
  *value = json_integer_value(found);
  if (*value >= range.low && *value <= range.high) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: %s: a number from %" PRId64 " to %" PRId64 " is expected, found %" PRId64
                  "; repair the file, or take another",
                  of->name, key, range.low, range.high, *value);
}

esp_status field_array(const json_place *of, const char *key, const json_t **value) {
  *value = get(of, key);
  return json_is_array(*value) ? ESP_OK : fail(of, key, "an array", *value);
}

esp_status field_character(const json_place *of, const char *key, uint32_t *value) {
  span text = {NULL, 0};
  ESP_TRY(field_text(of, key, &text));
  if (utf8_count(text) != 1) return fail(of, key, "one character", get(of, key));
  *value = utf8_read(text.bytes);
  return ESP_OK;
}

esp_status field_pattern(const json_place *of, const char *key, span *value, bool *is_literal) {
  const json_t *found = get(of, key);
  if (!json_is_object(found) || json_object_size(found) != 1)
    return fail(of, key, "{\"String\": text} or {\"Regex\": text}", found);
  const json_place inside = {of->name, found};
  *is_literal = json_object_get(found, "String") != NULL;
  return field_text(&inside, *is_literal ? "String" : "Regex", value);
}

esp_status field_kind(const json_place *of, const char *what, const void *pointers, int *index) {
  span type = {NULL, 0};
  if (!json_is_object(of->object)) return fail(of, what, "an object", of->object);
  ESP_TRY(field_text(of, "type", &type));
  if (esp_find_pointer(what, type.bytes, pointers, index) == ESP_OK) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: %s; what is not known is not skipped: use another tokenizer file", of->name,
                  esp_failure_text());
}

esp_status check_depth(const json_place *of, int depth) {
  if (depth <= MOST_DEPTH) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: sequences are nested deeper than %d; repair the file", of->name,
                  (int)MOST_DEPTH);
}
