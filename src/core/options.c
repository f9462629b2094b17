#include "options_internal.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/core/suggest.h"

#include <string.h>

const esp_option *esp_option_find_for(const esp_option_table *table, const char *name,
                                      unsigned command) {
  const bool whole = strchr(name, '.') != NULL;
  const esp_option *found = NULL;
  for (int i = 0; i < table->count; i++) {
    const esp_option *const row = &table->rows[i];
    if (!esp_option_same_name(whole ? row->key : esp_option_name(row), name)) continue;
    if (row->commands & command) return row;
    if (!found) found = row;
  }
  return found;
}

const esp_option *esp_option_find(const esp_option_table *table, const char *name) {
  return esp_option_find_for(table, name, ~0u);
}

esp_status esp_option_fail_unknown(const esp_option_table *table, const char *what,
                                   const char *name, unsigned command) {
  const bool whole = strchr(name, '.') != NULL;
  const bool is_flag = strncmp(name, "--", 2) == 0;
  char **names = ESP_NEW(char *, table->count + 1);
  int count = 0;
  for (int i = 0; i < table->count; i++) {
    const esp_option *const row = &table->rows[i];
    if (row->commands & command)
      names[count++] = is_flag && !whole ? esp_option_format_flag(row)
                                         : esp_format("%s%s", is_flag ? "--" : "",
                                                      whole ? row->key : esp_option_name(row));
  }
  const esp_status status = esp_fail_unknown(what, name, (const char *const *)names);
  for (int i = 0; i < count; i++) esp_free(&names[i]);
  esp_free(&names);
  return status;
}

/* A table with two options of one name for a command is our bug, and would hide one of them. */
static void check_row(const esp_option_table *table, int index) {
  const esp_option *const row = &table->rows[index];
  const char *const dot = strchr(row->key, '.');
  ESP_ASSERT(dot && dot > row->key && dot[1] && !strchr(dot + 1, '.'));
  ESP_ASSERT(strlen(row->key) < ESP_OPTION_KEY_BYTES);
  for (int i = 0; i < index; i++) {
    const esp_option *const other = &table->rows[i];
    const bool is_apart = (row->commands & other->commands) == 0;
    if (esp_option_same_name(other->key, row->key) ||
        (!is_apart && esp_option_same_name(esp_option_name(other), dot + 1)))
      esp_panic(__FILE__, __LINE__, "options %s and %s share a name", other->key, row->key);
    if (row->short_name && other->short_name == row->short_name && row->commands & other->commands)
      esp_panic(__FILE__, __LINE__, "options %s and %s share -%c", other->key, row->key,
                row->short_name);
  }
}

esp_option_table esp_options_join(const esp_option_part *parts, int n_parts, esp_option *rows,
                                  int most) {
  int count = 0;
  for (int p = 0; p < n_parts; p++)
    for (int i = 0; i < parts[p].group->count; i++) {
      ESP_ASSERT(count < most);
      rows[count] = parts[p].group->rows[i];
      rows[count++].offset += parts[p].offset;
    }
  return (esp_option_table){rows, count, NULL};
}

void esp_options_init(const esp_option_table *table, void *settings) {
  for (int i = 0; i < table->count; i++) {
    const esp_option *const row = &table->rows[i];
    check_row(table, i);
    if (row->kind == ESP_OPTION_TEXT) *(char **)esp_option_member(row, settings) = NULL;
    esp_option_reset(row, settings);
  }
}

void esp_options_clear(const esp_option_table *table, void *settings) {
  for (int i = 0; i < table->count; i++)
    if (table->rows[i].kind == ESP_OPTION_TEXT)
      esp_free((char **)esp_option_member(&table->rows[i], settings));
}

void esp_option_note(const esp_option_table *table, const esp_option *row,
                     esp_option_origin origin) {
  if (table->origins) table->origins[row - table->rows] = origin;
}

bool esp_options_is_given(const esp_option_table *table, const char *key, unsigned command) {
  for (int i = 0; table && table->origins && i < table->count; i++)
    if (strcmp(table->rows[i].key, key) == 0)
      return table->origins[i] != ESP_NOT_GIVEN && table->rows[i].commands & command;
  return false;
}

esp_status esp_options_set(const esp_option_table *table, void *settings, const char *name,
                           const char *value) {
  const esp_option *const row = esp_option_find(table, name);
  if (!row) return esp_option_fail_unknown(table, "option", name, ~0u);
  return esp_option_store(row, settings, name, value);
}

static json_t *dump_value(const esp_option *row, const void *settings) {
  const void *const member = esp_option_member(row, settings);
  switch (row->kind) {
  case ESP_OPTION_FLAG:
    return json_boolean(*(const bool *)member);
  case ESP_OPTION_INT:
    if (row->word && *(const int64_t *)member == 0) return esp_json_text(row->word);
    return json_integer(*(const int64_t *)member);
  case ESP_OPTION_REAL:
    return esp_json_real(*(const double *)member);
  case ESP_OPTION_TEXT:
    break;
  }
  return esp_json_text(*(char *const *)member);
}

static bool is_left_out(const esp_option *row, const void *settings) {
  const void *const member = esp_option_member(row, settings);
  if (!row->only_if_given) return false;
  if (row->kind == ESP_OPTION_INT) return *(const int64_t *)member == 0;
  if (row->kind == ESP_OPTION_REAL) return *(const double *)member == 0.0;
  if (row->kind == ESP_OPTION_FLAG) return !*(const bool *)member;
  return !*(char *const *)member;
}

json_t *esp_options_dump(const esp_option_table *table, const void *settings, unsigned command) {
  json_t *const root = json_object();
  for (int i = 0; i < table->count; i++) {
    const esp_option *const row = &table->rows[i];
    if (!(row->commands & command) || is_left_out(row, settings)) continue;
    char section[ESP_OPTION_KEY_BYTES];
    esp_option_section(row, section);
    if (!json_object_get(root, section)) json_object_set_new(root, section, json_object());
    json_object_set_new(json_object_get(root, section), esp_option_name(row),
                        dump_value(row, settings));
  }
  return root;
}
