#include "config_json.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MARK "\xEF\xBF\xBF" // U+FFFF in UTF-8: no character
enum { MARK_BYTES = 3, ESCAPE_BYTES = 6 };

static const char *const constants[] = {"NaN", "Infinity", "-Infinity"};
enum { CONSTANT_COUNT = sizeof constants / sizeof *constants };

static size_t count_digits(const char *text) {
  return strspn(text, "0123456789");
}

/* Length of the exponent at text, or 0. */
static size_t count_exponent(const char *text) {
  if (*text != 'e' && *text != 'E') return 0;
  const size_t sign = text[1] == '+' || text[1] == '-';
  const size_t digits = count_digits(text + 1 + sign);
  return digits > 0 ? 1 + sign + digits : 0;
}

/* Length of JSON's number at text [RFC 8259, 6], or 0; whether it is an integer. */
static size_t count_number(const char *text, bool *is_integer) {
  const char *at = text + (*text == '-');
  const size_t digits = *at == '0' ? 1 : count_digits(at);
  if (digits == 0) return 0;
  at += digits;
  const char *end = at;
  if (*at == '.' && count_digits(at + 1) > 0) at += 1 + count_digits(at + 1);
  at += count_exponent(at);
  *is_integer = at == end;
  return (size_t)(at - text);
}

static bool is_beyond(const char *text, bool is_integer) {
  errno = 0;
  if (is_integer) return (void)strtoll(text, NULL, 10), errno == ERANGE;
  return isinf(strtod(text, NULL));
}

/* Length of a number at text that jansson refuses, or 0. */
static size_t count_foreign(const char *text) {
  bool is_integer = false;
  for (int i = 0; i < CONSTANT_COUNT; i++) {
    const size_t length = strlen(constants[i]);
    if (strncmp(text, constants[i], length) == 0) return length;
  }
  const size_t length = count_number(text, &is_integer);
  return length > 0 && is_beyond(text, is_integer) ? length : 0;
}

/* Whether \uXXXX at text is one of a range of code units. */
static bool is_unit(const char *text, long low, long high) {
  char digits[5] = {0};
  if (text[0] != '\\' || text[1] != 'u') return false;
  for (int i = 0; i < 4; i++) {
    if (!isxdigit((unsigned char)text[2 + i])) return false;
    digits[i] = text[2 + i];
  }
  const long unit = strtol(digits, NULL, 16);
  return unit >= low && unit <= high;
}

/* Copies text as it is, and moves both on. */
static void copy(const char **text, size_t n, char **to) {
  memcpy(*to, *text, n);
  *text += n;
  *to += n;
}

static void copy_escape(const char **text, char **to) {
  if (is_unit(*text, 0xD800, 0xDBFF) && is_unit(*text + ESCAPE_BYTES, 0xDC00, 0xDFFF)) {
    copy(text, 2 * ESCAPE_BYTES, to);
  } else if (is_unit(*text, 0xD800, 0xDFFF)) {
    memcpy(*to, "\\uFFFD", ESCAPE_BYTES);
    *to += ESCAPE_BYTES;
    *text += ESCAPE_BYTES;
  } else {
    copy(text, (*text)[1] ? 2 : 1, to);
  }
}

/* From the quote that opens a string to behind the one that closes it. */
static void copy_string(const char **text, char **to) {
  copy(text, 1, to);
  while (**text && **text != '"') {
    if (**text == '\\')
      copy_escape(text, to);
    else
      copy(text, 1, to);
  }
  if (**text) copy(text, 1, to);
}

static void mark_number(const char **text, size_t n, char **to) {
  memcpy(*to, "\"" MARK, 1 + MARK_BYTES);
  *to += 1 + MARK_BYTES;
  copy(text, n, to);
  *(*to)++ = '"';
}

/* A name has to be a string. */
static bool is_name(const char *end) {
  return end[strspn(end, " \t\r\n")] == ':';
}

/* Text that jansson reads, owned by the caller. No number is shorter than the marks are long. */
static char *translate(const char *text) {
  char *all = ESP_NEW(char, (MARK_BYTES + 3) * (int64_t)strlen(text) + 1), *to = all;
  while (*text) {
    bool is_integer;
    const size_t foreign = count_foreign(text), number = count_number(text, &is_integer);
    if (foreign > 0 && !is_name(text + foreign))
      mark_number(&text, foreign, &to);
    else if (*text == '"')
      copy_string(&text, &to);
    else
      copy(&text, number > 0 ? number : 1, &to);
  }
  *to = 0;
  return all;
}

esp_status config_json_parse(const char *text, json_t **config) {
  json_error_t error;
  char *translated = translate(text);
  *config = json_loads(translated, JSON_ALLOW_NUL, &error);
  esp_free(&translated);
  if (json_is_object(*config)) return ESP_OK;
  json_decref(*config);
  *config = NULL;
  return esp_fail(ESP_FORMAT, "expected a JSON object as configuration, found line %d: %s",
                  error.line, error.text);
}

static size_t count_marked(const char *text) {
  const size_t length = strncmp(text, MARK, MARK_BYTES) == 0 ? count_foreign(text + MARK_BYTES) : 0;
  return length > 0 && text[MARK_BYTES + length] == '"' ? length : 0;
}

char *config_json_dump(const json_t *value, size_t flags) {
  char *all = esp_json_dump(value, flags), *to = all;
  for (const char *text = all; *text;) {
    const size_t marked = *text == '"' ? count_marked(text + 1) : 0;
    if (marked > 0) {
      memmove(to, text + 1 + MARK_BYTES, marked);
      to += marked;
      text += marked + MARK_BYTES + 2;
    } else {
      const bool is_escape = *text == '\\' && text[1];
      *to++ = *text++;
      if (is_escape) *to++ = *text++;
    }
  }
  *to = 0;
  return all;
}

const char *config_json_get_number(const json_t *value) {
  const char *text = json_string_value(value);
  if (!text || strncmp(text, MARK, MARK_BYTES) != 0) return NULL;
  const char *number = text + MARK_BYTES;
  const size_t length = count_foreign(number);
  return length > 0 && number[length] == 0 ? number : NULL;
}
