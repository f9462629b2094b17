/* Bytes that grow, spans of bytes, and UTF-8. */
#ifndef ESPALIER_SRC_TEXT_BUFFER_H
#define ESPALIER_SRC_TEXT_BUFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes; any byte, 0 too. */
typedef struct span {
  const char *bytes;
  int64_t count;
} span;

typedef struct buffer {
  char *bytes; // (room), owned
  int64_t count, room;
} buffer;

/* Make room for count more. */
void buffer_reserve(buffer *self, int64_t count);
void buffer_clear(buffer *self);
void buffer_add_char(buffer *self, uint32_t c);

static inline void buffer_add(buffer *self, span bytes) {
  if (bytes.count == 0) return;
  if (bytes.count > self->room - self->count) buffer_reserve(self, bytes.count);
  memcpy(self->bytes + self->count, bytes.bytes, (size_t)bytes.count);
  self->count += bytes.count;
}

static inline span buffer_span(const buffer *self) {
  return (span){self->bytes ? self->bytes : "", self->count};
}

/* Part of a buffer; of one that has never held anything too. */
static inline span buffer_part(const buffer *self, int64_t begin, int64_t count) {
  return count > 0 ? (span){self->bytes + begin, count} : (span){"", 0};
}

static inline bool span_equals(span a, span b) {
  return a.count == b.count && (a.count == 0 || memcmp(a.bytes, b.bytes, (size_t)a.count) == 0);
}

static inline span span_of(const char *text) {
  return (span){text, (int64_t)strlen(text)};
}

/* Bytes of the character that begins at a byte of valid UTF-8. */
static inline int utf8_length(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* The character at text, valid UTF-8. */
static inline uint32_t utf8_read(const char *text) {
  const unsigned char *b = (const unsigned char *)text;
  if (b[0] < 0x80) return b[0];
  if (b[0] < 0xE0) return (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
  if (b[0] < 0xF0)
    return (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
  return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 |
         (uint32_t)(b[2] & 0x3F) << 6 | (b[3] & 0x3F);
}

/* The character before end, valid UTF-8; begin < end. */
uint32_t utf8_read_before(const char *begin, const char *end);
/* Count bytes in front that are valid UTF-8. */
int64_t utf8_count_valid(span text);
/* Add text, with U+FFFD for what is no UTF-8: one for each longest part of a character [Unicode
 * 3.9, as WHATWG and Rust do]. */
void utf8_add_repaired(buffer *to, span text);
/* Count characters of valid UTF-8. */
int64_t utf8_count(span text);

#endif
