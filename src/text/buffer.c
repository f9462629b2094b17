#include "buffer.h"

#include "espalier/core/memory.h"

enum { FIRST_ROOM = 256 };

void buffer_reserve(buffer *self, int64_t count) {
  if (count <= self->room - self->count) return;
  int64_t room = self->room > 0 ? 2 * self->room : FIRST_ROOM;
  if (room < self->count + count) room = self->count + count;
  char *bytes = ESP_NEW(char, room);
  if (self->count > 0) memcpy(bytes, self->bytes, (size_t)self->count);
  esp_free(&self->bytes);
  self->bytes = bytes;
  self->room = room;
}

void buffer_clear(buffer *self) {
  esp_free(&self->bytes);
  *self = (buffer){0};
}

void buffer_add_char(buffer *self, uint32_t c) {
  char to[4];
  int n = 0;
  if (c < 0x80) {
    to[n++] = (char)c;
  } else if (c < 0x800) {
    to[n++] = (char)(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    to[n++] = (char)(0xE0 | c >> 12);
    to[n++] = (char)(0x80 | (c >> 6 & 0x3F));
  } else {
    to[n++] = (char)(0xF0 | c >> 18);
    to[n++] = (char)(0x80 | (c >> 12 & 0x3F));
    to[n++] = (char)(0x80 | (c >> 6 & 0x3F));
  }
  if (c >= 0x80) to[n++] = (char)(0x80 | (c & 0x3F));
  buffer_add(self, (span){to, n});
}

uint32_t utf8_read_before(const char *begin, const char *end) {
  const char *at = end - 1;
  while (at > begin && ((unsigned char)*at & 0xC0) == 0x80) at--;
  return utf8_read(at);
}

static bool is_between(unsigned char byte, unsigned char low, unsigned char high) {
  return byte >= low && byte <= high;
}

/* Whether byte may stand second behind first: shortest form, no surrogates, up to U+10FFFF. */
static bool is_second(unsigned char first, unsigned char byte) {
  if (first == 0xE0) return is_between(byte, 0xA0, 0xBF);
  if (first == 0xED) return is_between(byte, 0x80, 0x9F);
  if (first == 0xF0) return is_between(byte, 0x90, 0xBF);
  if (first == 0xF4) return is_between(byte, 0x80, 0x8F);
  return is_between(byte, 0x80, 0xBF);
}

/* Bytes of the character in front, or below 0: minus those that begin one and are to be replaced
 * together. */
static int scan(span text) {
  const unsigned char *b = (const unsigned char *)text.bytes;
  if (b[0] < 0x80) return 1;
  if (!is_between(b[0], 0xC2, 0xF4)) return -1;
  const int length = utf8_length(b[0]);
  int n = 1;
  while (n < length && n < text.count &&
         (n == 1 ? is_second(b[0], b[n]) : is_between(b[n], 0x80, 0xBF)))
    n++;
  return n == length ? n : -n;
}

int64_t utf8_count_valid(span text) {
  int64_t at = 0;
  while (at < text.count) {
    const int n = scan((span){text.bytes + at, text.count - at});
    if (n < 0) break;
    at += n;
  }
  return at;
}

void utf8_add_repaired(buffer *to, span text) {
  while (text.count > 0) {
    const int64_t valid = utf8_count_valid(text);
    buffer_add(to, (span){text.bytes, valid});
    text.bytes += valid;
    text.count -= valid;
    if (text.count == 0) return;
    const int bad = -scan(text);
    buffer_add_char(to, 0xFFFD);
    text.bytes += bad;
    text.count -= bad;
  }
}

int64_t utf8_count(span text) {
  int64_t n = 0;
  for (int64_t i = 0; i < text.count; i++) n += ((unsigned char)text.bytes[i] & 0xC0) != 0x80;
  return n;
}
