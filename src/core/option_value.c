#include "options_internal.h"

#include "espalier/core/memory.h"
#include "espalier/core/suggest.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c) {
  return isdigit((unsigned char)c) != 0;
}

/* Digits with at most one point, as value x 10^-places. */
static bool read_decimal(const char **cursor, int64_t *value, int *places) {
  int digits = 0;
  bool point = false;
  for (; is_digit(**cursor) || (**cursor == '.' && !point); ++*cursor) {
    if (**cursor == '.') {
      point = true;
      continue;
    }
    if (__builtin_mul_overflow(*value, 10, value) ||
        __builtin_add_overflow(*value, **cursor - '0', value))
      return false;
    digits++;
    *places += point;
  }
  return digits > 0;
}

static bool read_exponent(const char **cursor, int *exponent) {
  if (**cursor != 'e' && **cursor != 'E') return true;
  ++*cursor;
  const int sign = **cursor == '-' ? -1 : 1;
  if (**cursor == '-' || **cursor == '+') ++*cursor;
  if (!is_digit(**cursor)) return false;
  int size = 0;
  for (; is_digit(**cursor); ++*cursor)
    if (size < 100) size = 10 * size + (**cursor - '0');
  *exponent += sign * size;
  return true;
}

static void read_suffix(const char **cursor, int *exponent) {
  static const char suffixes[] = "kMG";
  const char *const found = **cursor ? strchr(suffixes, **cursor) : NULL;
  if (!found) return;
  *exponent += 3 * (int)(found - suffixes + 1);
  ++*cursor;
}

static bool scale_exactly(int64_t *value, int exponent) {
  for (; exponent > 0; exponent--)
    if (__builtin_mul_overflow(*value, 10, value)) return false;
  for (; exponent < 0; exponent++) {
    if (*value % 10 != 0) return false;
    *value /= 10;
  }
  return true;
}

/* Decimal throughout, so that 1e18 and 9007199254740993 are exact and 1.5 is refused, 1.5k is not.
 */
static bool parse_int(const char *text, int64_t *value) {
  int places = 0, exponent = 0;
  const bool negative = *text == '-';
  if (*text == '-' || *text == '+') text++;
  *value = 0;
  if (!read_decimal(&text, value, &places) || !read_exponent(&text, &exponent)) return false;
  read_suffix(&text, &exponent);
  if (*text || !scale_exactly(value, exponent - places)) return false;
  if (negative) *value = -*value;
  return true;
}

/* strtod takes hexadecimal, nan, inf and leading space too. */
static bool parse_real(const char *text, double *value) {
  if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
  char *end;
  *value = strtod(text, &end);
  return !*end && isfinite(*value);
}

static bool parse_flag(const char *text, bool *value) {
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasecmp(text, words[i]) == 0) {
      *value = i % 2 == 1;
      return true;
    }
  return false;
}

static bool has_range(const esp_option *row) {
  return row->low < row->high;
}

static bool in_range(const esp_option *row, double value) {
  if (!has_range(row) || (row->or_initial && value == strtod(row->initial, NULL))) return true;
  return value >= row->low && (row->below_high ? value < row->high : value <= row->high);
}

/* "one of a, b" from "a|b". */
static char *format_choices(const char *choices) {
  int64_t bytes = sizeof "one of ";
  for (const char *c = choices; *c; c++) bytes += *c == '|' ? 2 : 1;
  char *text = ESP_NEW(char, bytes), *to = stpcpy(text, "one of ");
  for (; *choices; choices++) {
    *to++ = *choices == '|' ? ',' : *choices;
    if (*choices == '|') *to++ = ' ';
  }
  return text;
}

/* "from 1 to 9" */
static char *format_range(const esp_option *row) {
  const char *const upper = row->below_high ? "below" : "at most";
  if (isinf(row->high)) return esp_format("at least %.15g", row->low);
  if (isinf(row->low)) return esp_format("%s %.15g", upper, row->high);
  if (row->below_high) return esp_format("at least %.15g and below %.15g", row->low, row->high);
  return esp_format("from %.15g to %.15g", row->low, row->high);
}

char *esp_option_format_limits(const esp_option *row) {
  if (row->kind == ESP_OPTION_TEXT)
    return row->choices ? format_choices(row->choices) : esp_strdup("");
  if (row->kind == ESP_OPTION_FLAG || !has_range(row)) return esp_strdup("");
  const char *const beside = row->word ? row->word : row->or_initial ? row->initial : NULL;
  char *range = format_range(row);
  char *limits = esp_format("%s%s%s", range, beside ? ", or " : "", beside ? beside : "");
  esp_free(&range);
  return limits;
}

esp_status esp_option_fail_value(const esp_option *row, const char *label, const char *found) {
  static const char *const nouns[] = {
      [ESP_OPTION_FLAG] = "true or false",
      [ESP_OPTION_INT] = "a whole number (such as 4096, 1e6, 64k)",
      [ESP_OPTION_REAL] = "a finite number",
      [ESP_OPTION_TEXT] = "a text",
  };
  char *limits = esp_option_format_limits(row);
  const esp_status status = esp_fail(ESP_USAGE, "%s: expected %s%s%s, found %.100s", label,
                                     nouns[row->kind], *limits ? " " : "", limits, found);
  esp_free(&limits);
  return status;
}

static esp_status fail_value(const esp_option *row, const char *label, const char *text) {
  char found[96];
  snprintf(found, sizeof found, *text ? "'%.80s'" : "an empty text", text);
  return esp_option_fail_value(row, label, found);
}

static esp_status fail_choice(char *const *choices, const char *label, const char *text) {
  char *what = esp_format("value of %s", label);
  const esp_status status = esp_fail_unknown(what, text, (const char *const *)choices);
  esp_free(&what);
  return status;
}

/* Split "a|b|c" in place into a list that ends with NULL. */
static char **split_choices(char *text) {
  int64_t count = 1;
  for (const char *c = text; *c; c++) count += *c == '|';
  char **list = ESP_NEW(char *, count + 1), **next = list;
  *next++ = text;
  for (char *c = text; *c; c++)
    if (*c == '|') {
      *c = '\0';
      *next++ = c + 1;
    }
  return list;
}

/* The spelling of the table is what gets stored. */
static esp_status choose(const esp_option *row, const char *label, const char *text, char **value) {
  char *words = esp_strdup(row->choices);
  char **list = split_choices(words), **choice = list;
  while (*choice && !esp_option_same_name(*choice, text)) choice++;
  if (*choice) *value = esp_strdup(*choice);
  const esp_status status = *choice ? ESP_OK : fail_choice(list, label, text);
  esp_free(&list);
  esp_free(&words);
  return status;
}

static esp_status store_text(const esp_option *row, char **member, const char *label,
                             const char *text) {
  if (!*text) return fail_value(row, label, text);
  char *value = NULL;
  if (row->choices)
    ESP_TRY(choose(row, label, text, &value));
  else
    value = esp_strdup(text);
  esp_free(member);
  *member = value;
  return ESP_OK;
}

static esp_status store_int(const esp_option *row, int64_t *member, const char *label,
                            const char *text) {
  int64_t value;
  if (row->word && esp_option_same_name(row->word, text)) {
    *member = 0;
    return ESP_OK;
  }
  if (!parse_int(text, &value) || !in_range(row, (double)value))
    return fail_value(row, label, text);
  *member = value;
  return ESP_OK;
}

static esp_status store_real(const esp_option *row, double *member, const char *label,
                             const char *text) {
  double value;
  if (!parse_real(text, &value) || !in_range(row, value)) return fail_value(row, label, text);
  *member = value;
  return ESP_OK;
}

static esp_status store_flag(const esp_option *row, bool *member, const char *label,
                             const char *text) {
  return parse_flag(text, member) ? ESP_OK : fail_value(row, label, text);
}

void *esp_option_member(const esp_option *row, const void *settings) {
  return (char *)(uintptr_t)settings + row->offset;
}

esp_status esp_option_store(const esp_option *row, void *settings, const char *label,
                            const char *text) {
  void *const member = esp_option_member(row, settings);
  switch (row->kind) {
  case ESP_OPTION_FLAG:
    return store_flag(row, member, label, text);
  case ESP_OPTION_INT:
    return store_int(row, member, label, text);
  case ESP_OPTION_REAL:
    return store_real(row, member, label, text);
  case ESP_OPTION_TEXT:
    return store_text(row, member, label, text);
  }
  esp_panic(__FILE__, __LINE__, "option %s has no kind", row->key);
}

void esp_option_reset(const esp_option *row, void *settings) {
  void *const member = esp_option_member(row, settings);
  switch (row->kind) {
  case ESP_OPTION_FLAG:
    *(bool *)member = false;
    break;
  case ESP_OPTION_INT:
    *(int64_t *)member = 0;
    break;
  case ESP_OPTION_REAL:
    *(double *)member = 0.0;
    break;
  case ESP_OPTION_TEXT:
    esp_free((char **)member);
    break;
  }
  if (row->initial && esp_option_store(row, settings, row->key, row->initial) != ESP_OK)
    esp_panic(__FILE__, __LINE__, "bad default: %s", esp_failure_text());
}
