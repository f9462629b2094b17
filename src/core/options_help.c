#include "options_internal.h"

#include "espalier/core/memory.h"

#include <stdio.h>
#include <string.h>

enum { LINE_WIDTH = 100, WIDEST_LEFT = 34 };

static const char *value_name(const esp_option *row) {
  static const char *const names[] = {[ESP_OPTION_FLAG] = "",
                                      [ESP_OPTION_INT] = "N",
                                      [ESP_OPTION_REAL] = "X",
                                      [ESP_OPTION_TEXT] = "TEXT"};
  return row->value_name && row->kind != ESP_OPTION_FLAG ? row->value_name : names[row->kind];
}

static bool is_flag_on(const esp_option *row) {
  bool on;
  const esp_option flag = {.key = row->key, .kind = ESP_OPTION_FLAG, .initial = row->initial};
  esp_option_reset(&flag, &on);
  return on;
}

/* "-o, --output FILE"; underscores are for YAML. */
static char *format_left(const esp_option *row) {
  const char sign[] = {'-', row->short_name, ',', ' ', '\0'};
  const char *const value = value_name(row);
  const bool negatable = row->kind == ESP_OPTION_FLAG && is_flag_on(row);
  char *name = esp_option_flag(row);
  char *left = esp_format("%s--%s%s%s%s", row->short_name ? sign : "    ", negatable ? "[no-]" : "",
                          name + 2, *value ? " " : "", value);
  esp_free(&name);
  return left;
}

/* "what it does (default 0.5; at least 0 and below 1)" */
static char *format_right(const esp_option *row) {
  const bool off = row->kind == ESP_OPTION_FLAG && !is_flag_on(row);
  const char *const initial = row->initial && !off ? row->initial : "";
  const char *const help = row->help ? row->help : "";
  char *limits = esp_option_format_limits(row);
  char *right = *initial || *limits ? esp_format("%s (%s%s%s%s)", help, *initial ? "default " : "",
                                                 initial, *initial && *limits ? "; " : "", limits)
                                    : esp_strdup(help);
  esp_free(&limits);
  return right;
}

/* Words from the column on; the cursor is there already. */
static void print_wrapped(const char *text, int column) {
  int at = column;
  while (*text) {
    const int length = (int)strcspn(text, " ");
    if (at > column && at + 1 + length > LINE_WIDTH) {
      printf("\n%*s", column, "");
      at = column;
    }
    at += printf("%s%.*s", at > column ? " " : "", length, text);
    text += length;
    text += strspn(text, " ");
  }
  putchar('\n');
}

static void print_row(const esp_option *row, int width) {
  char *left = format_left(row), *right = format_right(row);
  if ((int)strlen(left) > width)
    printf("  %s\n%*s", left, width + 4, "");
  else
    printf("  %-*s  ", width, left);
  print_wrapped(right, width + 4);
  esp_free(&left);
  esp_free(&right);
}

static int find_width(const esp_option_table *table, unsigned command) {
  int width = 0;
  for (int i = 0; i < table->count; i++) {
    if (!(table->rows[i].commands & command)) continue;
    char *left = format_left(&table->rows[i]);
    const int length = (int)strlen(left);
    if (length > width && length <= WIDEST_LEFT) width = length;
    esp_free(&left);
  }
  return width;
}

static bool same_section(const esp_option *a, const esp_option *b) {
  char first[ESP_OPTION_KEY_BYTES], second[ESP_OPTION_KEY_BYTES];
  esp_option_section(a, first);
  esp_option_section(b, second);
  return strcmp(first, second) == 0;
}

static bool opens_section(const esp_option_table *table, int index, unsigned command) {
  for (int i = 0; i < index; i++)
    if (table->rows[i].commands & command && same_section(&table->rows[i], &table->rows[index]))
      return false;
  return true;
}

static void print_section(const esp_option_table *table, int first, unsigned command, int width) {
  char section[ESP_OPTION_KEY_BYTES];
  esp_option_section(&table->rows[first], section);
  printf("%s:\n", section);
  for (int i = first; i < table->count; i++)
    if (table->rows[i].commands & command && same_section(&table->rows[i], &table->rows[first]))
      print_row(&table->rows[i], width);
}

void esp_options_print_help(const esp_option_table *table, unsigned command) {
  const int width = find_width(table, command);
  bool begun = false;
  for (int i = 0; i < table->count; i++) {
    if (!(table->rows[i].commands & command) || !opens_section(table, i, command)) continue;
    if (begun) putchar('\n');
    begun = true;
    print_section(table, i, command, width);
  }
}
