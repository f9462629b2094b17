#include "espalier/core/json.h"

#include "espalier/core/memory.h"
#include "espalier/core/status.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" // U+FFFD in UTF-8
enum { REPLACEMENT_BYTES = 3, ESCAPE_BYTES = 5 };

/* Length of the UTF-8 sequence at text, 0 if there is none: shortest form, no surrogates, up to
 * U+10FFFF [RFC 3629, 4]. */
static int count_sequence(const unsigned char *text) {
  const unsigned char first = text[0];
  const int length = first < 0x80                    ? 1
                     : first >= 0xC2 && first < 0xE0 ? 2
                     : first >= 0xE0 && first < 0xF0 ? 3
                     : first >= 0xF0 && first < 0xF5 ? 4
                                                     : 0;
  for (int i = 1; i < length; i++)
    if ((text[i] & 0xC0) != 0x80) return 0;
  if ((first == 0xE0 && text[1] < 0xA0) || (first == 0xED && text[1] > 0x9F)) return 0;
  if ((first == 0xF0 && text[1] < 0x90) || (first == 0xF4 && text[1] > 0x8F)) return 0;
  return length;
}

static bool is_replacement(const char *text) {
  return strncmp(text, REPLACEMENT, REPLACEMENT_BYTES) == 0;
}

static char *escape_byte(char byte, char *to) {
  return to + sprintf(to, REPLACEMENT "%02x", (unsigned)(unsigned char)byte);
}

json_t *esp_json_text(const char *bytes) {
  if (!bytes) return json_null();
  char *text = ESP_NEW(char, ESCAPE_BYTES *(int64_t)strlen(bytes) + 1), *to = text;
  while (*bytes) {
    const int length = is_replacement(bytes) ? 0 : count_sequence((const unsigned char *)bytes);
    if (length == 0) to = escape_byte(*bytes++, to);
    for (int i = 0; i < length; i++) *to++ = *bytes++;
  }
  *to = 0;
  json_t *value = json_string(text);
  esp_free(&text);
  ESP_ASSERT(value);
  return value;
}

static bool is_escape(const char *text) {
  return is_replacement(text) && isxdigit((unsigned char)text[REPLACEMENT_BYTES]) &&
         isxdigit((unsigned char)text[REPLACEMENT_BYTES + 1]);
}

char *esp_json_bytes(const json_t *value) {
  const char *from = json_string_value(value);
  if (!from) return NULL;
  char *bytes = esp_strdup(from), *to = bytes;
  while (*from) {
    if (is_escape(from)) {
      const char digits[] = {from[REPLACEMENT_BYTES], from[REPLACEMENT_BYTES + 1], 0};
      *to++ = (char)strtol(digits, NULL, 16);
      from += ESCAPE_BYTES;
    } else {
      *to++ = *from++;
    }
  }
  *to = 0;
  return bytes;
}

json_t *esp_json_real(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *esp_json_pack(const char *format, ...) {
  json_error_t error;
  va_list arguments;
  va_start(arguments, format);
  json_t *value = json_vpack_ex(&error, 0, format, arguments);
  va_end(arguments);
  if (!value) esp_panic(__FILE__, __LINE__, "no JSON of '%s': %s", format, error.text);
  return value;
}

char *esp_json_dump(const json_t *value, size_t flags) {
  char *text = json_dumps(value, flags);
  if (!text) esp_panic(__FILE__, __LINE__, "JSON that cannot be written");
  char *copy = esp_strdup(text);
  free(text);
  return copy;
}
