/* What of a run is not as it was in the interrupted one, as a user gave it. */
#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/io/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fewest digits that are read as the same number, as it was written. */
static char *format_real(double value) {
  char text[32];
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  return esp_strdup(text);
}

static char *format_value(const json_t *value) {
  if (json_is_string(value)) return esp_strdup(json_string_value(value));
  if (json_is_real(value)) return format_real(json_real_value(value));
  return esp_json_dump(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
}

/* -1 stands for what a command chooses where a number is not given (esp_option.or_initial). */
static bool is_left_out(const json_t *value) {
  return !value || json_is_null(value) ||
         (json_is_number(value) && json_number_value(value) == -1.0);
}

static char *format_option(const char *flag, const json_t *value) {
  if (is_left_out(value)) return esp_format("no --%s", flag);
  if (json_is_boolean(value)) return esp_format("--%s%s", json_is_true(value) ? "" : "no-", flag);
  char *text = format_value(value), *all = esp_format("--%s %s", flag, text);
  esp_free(&text);
  return all;
}

static char *format_member(const char *words, const json_t *value) {
  if (is_left_out(value)) return esp_format("no %s", words);
  char *text = format_value(value), *all = esp_format("%s %s", words, text);
  esp_free(&text);
  return all;
}

/* A member as a flag, or in words. */
static char *name_member(const char *key, bool is_option) {
  char *name = esp_strdup(key);
  for (char *c = name; *c; c++)
    if (*c == '_') *c = is_option ? '-' : ' ';
  return name;
}

static char *describe(const json_t *old, const json_t *new, const char *key, bool is_option) {
  char *name = name_member(key, is_option);
  char *then = is_option ? format_option(name, old) : format_member(name, old);
  char *now = is_option ? format_option(name, new) : format_member(name, new);
  char *both = esp_format("expected %s, found %s", then, now);
  esp_free(&name);
  esp_free(&then);
  esp_free(&now);
  return both;
}

static char *find(const json_t *old, const json_t *new, const char *key, bool is_option);

/* The first of the members of one of the two. */
static char *find_among(json_t *members, const json_t *old, const json_t *new, bool are_options) {
  const char *member;
  json_t *value;
  char *found = NULL;
  json_object_foreach(members, member, value) {
    found = find(json_object_get(old, member), json_object_get(new, member), member, are_options);
    if (found) break;
  }
  return found;
}

static char *find(const json_t *old, const json_t *new, const char *key, bool is_option) {
  if (json_equal(old, new)) return NULL;
  if (!json_is_object(old) || !json_is_object(new)) return describe(old, new, key, is_option);
  const bool are_options = is_option || strcmp(key, "options") == 0;
  char *found = find_among((json_t *)(uintptr_t) new, old, new, are_options);
  return found ? found : find_among((json_t *)(uintptr_t)old, old, new, are_options);
}

char *esp_journal_find_difference(const json_t *then, const json_t *now) {
  return find(then, now, "description", false);
}
