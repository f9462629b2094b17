#include "options_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct argument_reader {
  const esp_option_table *table;
  void *settings;
  esp_arguments *line;
  int next; // argument to read
} argument_reader;

/* "-" is a file name, by custom stdin or stdout. */
static bool is_option(const char *argument) {
  return argument[0] == '-' && argument[1];
}

/* A value may be a negative number. */
static bool is_value(const char *argument) {
  return !is_option(argument) || isdigit((unsigned char)argument[1]) || argument[1] == '.';
}

/* Copy what stands before '='; return what stands behind it, NULL without one. */
static const char *split_argument(const char *argument, char label[ESP_OPTION_KEY_BYTES]) {
  const size_t length = strcspn(argument, "=");
  snprintf(label, ESP_OPTION_KEY_BYTES, "%.*s",
           (int)(length < ESP_OPTION_KEY_BYTES ? length : ESP_OPTION_KEY_BYTES), argument);
  return argument[length] ? argument + length + 1 : NULL;
}

static esp_status check_command(const argument_reader *self, const esp_option *row,
                                const char *label) {
  if (row->commands & self->line->command) return ESP_OK;
  return esp_fail(ESP_USAGE, "this command does not take %s; --help lists what it takes", label);
}

static esp_status store_value(argument_reader *self, const esp_option *row, const char *label,
                              const char *value) {
  ESP_TRY(check_command(self, row, label));
  if (!value && row->kind == ESP_OPTION_FLAG) value = "true";
  if (!value && self->next < self->line->argc && is_value(self->line->argv[self->next]))
    value = self->line->argv[self->next++];
  if (!value) return esp_option_fail_value(row, label, "no value");
  esp_option_note(self->table, row, ESP_GIVEN_ON_LINE);
  return esp_option_store(row, self->settings, label, value);
}

static esp_status store_negated(argument_reader *self, const char *label, const char *value) {
  const bool negated = strncmp(label, "--no-", 5) == 0 || strncmp(label, "--no_", 5) == 0;
  const esp_option *const row =
      negated ? esp_option_find_for(self->table, label + 5, self->line->command) : NULL;
  if (!row || row->kind != ESP_OPTION_FLAG)
    return esp_option_fail_unknown(self->table, "option", label, self->line->command);
  if (value)
    return esp_fail(ESP_USAGE, "%s takes no value, found '%.80s'; write --%s=%.80s", label, value,
                    esp_option_name(row), value);
  return store_value(self, row, label, "false");
}

static esp_status read_long(argument_reader *self, const char *argument) {
  char label[ESP_OPTION_KEY_BYTES];
  const char *const value = split_argument(argument, label);
  const esp_option *const row = esp_option_find_for(self->table, label + 2, self->line->command);
  return row ? store_value(self, row, label, value) : store_negated(self, label, value);
}

static const esp_option *find_short(const argument_reader *self, char name) {
  const esp_option *found = NULL;
  for (int i = 0; i < self->table->count; i++) {
    const esp_option *const row = &self->table->rows[i];
    if (row->short_name != name) continue;
    if (row->commands & self->line->command) return row;
    found = row;
  }
  return found;
}

static esp_status read_short(argument_reader *self, const char *argument) {
  const esp_option *const row = find_short(self, argument[1]);
  const char label[] = {'-', argument[1], '\0'};
  const char *value = argument[2] ? argument + 2 : NULL;
  if (!row || (value && row->kind == ESP_OPTION_FLAG))
    return esp_fail(ESP_USAGE,
                    "unknown option '%.80s'; --help lists the options, long ones begin "
                    "with two dashes",
                    argument);
  if (value && *value == '=') value++;
  return store_value(self, row, label, value);
}

esp_status esp_options_read_arguments(const esp_option_table *table, void *settings,
                                      esp_arguments *arguments) {
  argument_reader self = {table, settings, arguments, 0};
  bool ended = false;
  arguments->n_positional = 0;
  while (self.next < arguments->argc) {
    const char *const argument = arguments->argv[self.next++];
    if (ended || !is_option(argument))
      arguments->positional[arguments->n_positional++] = argument;
    else if (strcmp(argument, "--") == 0)
      ended = true;
    else
      ESP_TRY(argument[1] == '-' ? read_long(&self, argument) : read_short(&self, argument));
  }
  return ESP_OK;
}
