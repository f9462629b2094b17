#include "unicode.h"

#include "espalier/core/memory.h"
#include "espalier/core/status.h"

#include <stdlib.h>
#include <utf8proc.h>

static bool is_in(const unicode_range *table, int count, uint32_t c) {
  int low = 0, high = count;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (table[middle].last < c)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && table[low].first <= c;
}

bool unicode_is_space(uint32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool unicode_is_punctuation(uint32_t c) {
  if (c < 0x80)
    return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z');
  return is_in(unicode_punctuation, unicode_punctuation_count, c);
}

bool unicode_is_nonspacing(uint32_t c) {
  return c >= 0x300 && is_in(unicode_nonspacing, unicode_nonspacing_count, c);
}

bool unicode_is_mark(uint32_t c) {
  return c >= 0x300 && is_in(unicode_marks, unicode_marks_count, c);
}

bool unicode_is_control(uint32_t c) {
  return (c < 32 || c >= 0x7F) && is_in(unicode_control, unicode_control_count, c);
}

static utf8proc_category_t get_category(uint32_t c) {
  return utf8proc_category((utf8proc_int32_t)c);
}

bool unicode_is_numeric(uint32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  const utf8proc_category_t of = get_category(c);
  return of == UTF8PROC_CATEGORY_ND || of == UTF8PROC_CATEGORY_NL || of == UTF8PROC_CATEGORY_NO;
}

/* Letters of category So that are alphabetic: in circles and squares. */
static bool is_enclosed(uint32_t c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

bool unicode_is_word(uint32_t c) {
  const utf8proc_category_t of = get_category(c);
  if (of >= UTF8PROC_CATEGORY_LU && of <= UTF8PROC_CATEGORY_NL) return true; // L, M, Nd, Nl
  return of == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D || is_enclosed(c);
}

void unicode_add_lower(buffer *to, uint32_t c) {
  if (c == 0x130) { // the only one that becomes two characters
    buffer_add_char(to, 'i');
    buffer_add_char(to, 0x307);
    return;
  }
  buffer_add_char(to, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

/* A span without characters that the reference does not know. */
static void add_known(buffer *to, span text, normal_form form) {
  if (text.count == 0) return;
  int options = UTF8PROC_STABLE;
  options |= form == NFC || form == NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NFKC || form == NFKD) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t *made = NULL;
  const utf8proc_ssize_t count = utf8proc_map((const utf8proc_uint8_t *)text.bytes, text.count,
                                              &made, (utf8proc_option_t)options);
  ESP_ASSERT(count >= 0); // the text is UTF-8
  buffer_add(to, (span){(const char *)made, count});
  free(made);
}

/* Each unknown character stands alone: nothing composes or is sorted across it. */
static void add_between_unknown(buffer *to, span text, normal_form form) {
  int64_t begin = 0;
  for (int64_t i = 0; i < text.count;) {
    const int length = utf8_length((unsigned char)text.bytes[i]);
    if (is_in(unicode_unknown, unicode_unknown_count, utf8_read(text.bytes + i))) {
      add_known(to, (span){text.bytes + begin, i - begin}, form);
      buffer_add(to, (span){text.bytes + i, length});
      begin = i + length;
    }
    i += length;
  }
  add_known(to, (span){text.bytes + begin, text.count - begin}, form);
}

/* ASCII is in every normal form, and begins one anew: the last of a run may compose with what comes
 * behind it. */
void unicode_add_normal(buffer *to, span text, normal_form form) {
  int64_t i = 0;
  while (i < text.count) {
    int64_t end = i;
    while (end < text.count && (unsigned char)text.bytes[end] < 0x80) end++;
    const int64_t plain = end < text.count && end > i ? end - 1 : end;
    buffer_add(to, (span){text.bytes + i, plain - i});
    while (end < text.count && (unsigned char)text.bytes[end] >= 0x80) end++;
    add_between_unknown(to, (span){text.bytes + plain, end - plain}, form);
    i = end;
  }
}

bool unicode_is_break(uint32_t a, uint32_t b, int32_t *state) {
  return utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, state);
}
