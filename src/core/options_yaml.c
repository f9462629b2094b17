#include "options_internal.h"

#include "espalier/core/memory.h"
#include "espalier/core/suggest.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

typedef struct yaml_reader {
  yaml_parser_t parser;
  yaml_event_t event; // the current one, owned
  const esp_option_table *table;
  void *settings;
  const char *text, *source;
  int *option_lines;  // (table->count): line where an option was set, 0 for not yet
  int *section_lines; // (table->count): of a section, at its first row
} yaml_reader;

static int event_line(const yaml_reader *self) {
  return (int)self->event.start_mark.line + 1;
}

/* Put file and line before the failure text of a called function. */
static esp_status fail_at(const yaml_reader *self, int line, esp_status code) {
  return esp_fail(code, "%s:%d: %s", self->source, line, esp_failure_text());
}

/* A reader error (bad UTF-8) has an offset instead of a mark. */
static int problem_line(const yaml_reader *self) {
  if (self->parser.error != YAML_READER_ERROR) return (int)self->parser.problem_mark.line + 1;
  int line = 1;
  for (size_t i = 0; i < self->parser.problem_offset && self->text[i]; i++)
    line += self->text[i] == '\n';
  return line;
}

static esp_status fail_syntax(const yaml_reader *self) {
  const char *const problem = self->parser.problem, *const context = self->parser.context;
  esp_fail(ESP_FORMAT, "not valid YAML: %s%s%s", problem ? problem : "unknown problem",
           context ? " " : "", context ? context : "");
  return fail_at(self, problem_line(self), ESP_FORMAT);
}

static esp_status fail_kind(const yaml_reader *self, const char *what, const char *expected) {
  static const char *const found[] = {[YAML_ALIAS_EVENT] = "an alias (*name)",
                                      [YAML_SCALAR_EVENT] = "a value",
                                      [YAML_SEQUENCE_START_EVENT] = "a list",
                                      [YAML_MAPPING_START_EVENT] = "a mapping"};
  const unsigned type = (unsigned)self->event.type;
  const char *const kind = type < sizeof found / sizeof *found ? found[type] : NULL;
  return esp_fail(ESP_FORMAT, "%s:%d: %s: expected %s, found %s", self->source, event_line(self),
                  what, expected, kind ? kind : "something else");
}

static esp_status check_plain(const yaml_reader *self) {
  const unsigned char *anchor = NULL, *tag = NULL;
  if (self->event.type == YAML_SCALAR_EVENT) {
    anchor = self->event.data.scalar.anchor;
    tag = self->event.data.scalar.tag;
  } else if (self->event.type == YAML_MAPPING_START_EVENT) {
    anchor = self->event.data.mapping_start.anchor;
    tag = self->event.data.mapping_start.tag;
  }
  if (!anchor && !tag) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s:%d: %s '%.80s' is not supported; write the value out",
                  self->source, event_line(self), anchor ? "the anchor" : "the tag",
                  (const char *)(anchor ? anchor : tag));
}

static esp_status read_event(yaml_reader *self) {
  yaml_event_delete(&self->event);
  if (!yaml_parser_parse(&self->parser, &self->event)) return fail_syntax(self);
  return check_plain(self);
}

static const char *scalar_text(const yaml_reader *self) {
  return (const char *)self->event.data.scalar.value;
}

static bool is_null(const yaml_reader *self) {
  const char *const text = scalar_text(self);
  if (self->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return false;
  return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

static bool has_zero_byte(const yaml_reader *self) {
  return strlen(scalar_text(self)) != self->event.data.scalar.length;
}

static esp_status fail_unknown_key(const yaml_reader *self, const char *key, int line) {
  const esp_option *const row = esp_option_find(self->table, key);
  if (row)
    esp_fail(ESP_USAGE, "key '%s' stands outside its section; write %s", key, row->key);
  else
    esp_option_fail_unknown(self->table, "key", key, ~0u);
  return fail_at(self, line, ESP_USAGE);
}

static esp_status note_line(const yaml_reader *self, int *lines, const char *key, int line) {
  if (*lines)
    return esp_fail(ESP_FORMAT, "%s:%d: '%s' is given twice, first on line %d; remove one",
                    self->source, line, key, *lines);
  *lines = line;
  return ESP_OK;
}

/* A null means "not given", which is what a dump writes for such a text. */
static esp_status store_scalar(const yaml_reader *self, const esp_option *row) {
  if (row->kind == ESP_OPTION_TEXT && is_null(self)) {
    esp_option_reset(row, self->settings);
    return ESP_OK;
  }
  const int line = event_line(self);
  if (has_zero_byte(self)) {
    esp_fail(ESP_FORMAT, "%s: expected a text, found one with a zero byte", row->key);
    return fail_at(self, line, ESP_FORMAT);
  }
  esp_option_note(self->table, row, ESP_GIVEN_IN_FILE);
  if (esp_option_store(row, self->settings, row->key, scalar_text(self)) == ESP_OK) return ESP_OK;
  return fail_at(self, line, ESP_USAGE);
}

/* The current event is the value of a whole key. */
static esp_status read_value(const yaml_reader *self, const char *key, int line) {
  const esp_option *const row = esp_option_find(self->table, key);
  if (!row) return fail_unknown_key(self, key, line);
  ESP_TRY(note_line(self, &self->option_lines[row - self->table->rows], row->key, line));
  if (self->event.type != YAML_SCALAR_EVENT) return fail_kind(self, row->key, "a single value");
  return store_scalar(self, row);
}

/* Index of the first row of a section, -1 for none. */
static int find_section(const yaml_reader *self, const char *name) {
  for (int i = 0; i < self->table->count; i++) {
    char section[ESP_OPTION_KEY_BYTES];
    esp_option_section(&self->table->rows[i], section);
    if (esp_option_same_name(section, name)) return i;
  }
  return -1;
}

static esp_status fail_unknown_section(const yaml_reader *self, const char *name, int line) {
  char **names = ESP_NEW(char *, self->table->count + 1);
  int count = 0;
  for (int i = 0; i < self->table->count; i++) {
    char section[ESP_OPTION_KEY_BYTES];
    esp_option_section(&self->table->rows[i], section);
    if (find_section(self, section) == i) names[count++] = esp_strdup(section);
  }
  esp_fail_unknown("section", name, (const char *const *)names);
  for (int i = 0; i < count; i++) esp_free(&names[i]);
  esp_free(&names);
  return fail_at(self, line, ESP_USAGE);
}

/* The current event is a scalar in the place of a key. */
static esp_status copy_key(const yaml_reader *self, char key[ESP_OPTION_KEY_BYTES]) {
  if (self->event.type != YAML_SCALAR_EVENT) return fail_kind(self, "key", "a name");
  snprintf(key, ESP_OPTION_KEY_BYTES, "%s", scalar_text(self));
  return ESP_OK;
}

/* The current event opens the section's mapping. */
static esp_status read_section(yaml_reader *self, const char *section) {
  ESP_TRY(read_event(self));
  while (self->event.type != YAML_MAPPING_END_EVENT) {
    char name[ESP_OPTION_KEY_BYTES], key[2 * ESP_OPTION_KEY_BYTES];
    const int line = event_line(self);
    ESP_TRY(copy_key(self, name));
    snprintf(key, sizeof key, "%s.%s", section, name);
    ESP_TRY(read_event(self));
    ESP_TRY(read_value(self, key, line));
    ESP_TRY(read_event(self));
  }
  return ESP_OK;
}

/* The current event is the value of a key of the file's top level. A section without a value is
 * empty: all its lines are commented out. */
static esp_status read_entry(yaml_reader *self, const char *key, int line) {
  if (strchr(key, '.')) return read_value(self, key, line);
  const bool mapping = self->event.type == YAML_MAPPING_START_EVENT;
  const int index = find_section(self, key);
  if (index < 0 && mapping && !esp_option_find(self->table, key))
    return fail_unknown_section(self, key, line);
  if (index < 0) return fail_unknown_key(self, key, line);
  ESP_TRY(note_line(self, &self->section_lines[index], key, line));
  if (mapping) return read_section(self, key);
  if (self->event.type == YAML_SCALAR_EVENT && is_null(self)) return ESP_OK;
  return fail_kind(self, key, "a mapping of options");
}

static esp_status read_root(yaml_reader *self) {
  if (self->event.type == YAML_SCALAR_EVENT && is_null(self)) return ESP_OK;
  if (self->event.type != YAML_MAPPING_START_EVENT)
    return fail_kind(self, "file", "a mapping such as 'prune: {sparsity: 0.5}'");
  ESP_TRY(read_event(self));
  while (self->event.type != YAML_MAPPING_END_EVENT) {
    char key[ESP_OPTION_KEY_BYTES];
    const int line = event_line(self);
    ESP_TRY(copy_key(self, key));
    ESP_TRY(read_event(self));
    ESP_TRY(read_entry(self, key, line));
    ESP_TRY(read_event(self));
  }
  return ESP_OK;
}

static esp_status read_stream(yaml_reader *self) {
  ESP_TRY(read_event(self)); // stream start
  ESP_TRY(read_event(self));
  if (self->event.type == YAML_STREAM_END_EVENT) return ESP_OK;
  ESP_TRY(read_event(self));
  ESP_TRY(read_root(self));
  ESP_TRY(read_event(self)); // document end
  ESP_TRY(read_event(self));
  if (self->event.type == YAML_STREAM_END_EVENT) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s:%d: expected one YAML document, found a second; remove the '---'",
                  self->source, event_line(self));
}

esp_status esp_options_read_yaml(const esp_option_table *table, void *settings, const char *text,
                                 const char *source) {
  yaml_reader self = {.table = table, .settings = settings, .text = text, .source = source};
  self.option_lines = ESP_NEW(int, table->count);
  self.section_lines = ESP_NEW(int, table->count);
  ESP_ASSERT(yaml_parser_initialize(&self.parser));
  yaml_parser_set_input_string(&self.parser, (const unsigned char *)text, strlen(text));
  const esp_status status = read_stream(&self);
  yaml_event_delete(&self.event);
  yaml_parser_delete(&self.parser);
  esp_free(&self.section_lines);
  esp_free(&self.option_lines);
  return status;
}
