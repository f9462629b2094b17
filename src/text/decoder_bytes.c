/* Decoders of bytes: as characters of GPT-2, or as <0xXX>. */
#include "byte_level.h"
#include "decoders.h"

#include <stdlib.h>

/* A token with a character that stands for no byte is taken as it is. */
static void add_token(span token, buffer *to) {
  const int64_t before = to->count;
  for (int64_t i = 0; i < token.count; i += utf8_length((unsigned char)token.bytes[i])) {
    const int byte = byte_level_get(utf8_read(token.bytes + i));
    if (byte < 0) {
      to->count = before;
      buffer_add(to, token);
      return;
    }
    buffer_add(to, (span){(const char[]){(char)byte}, 1});
  }
}

static esp_status apply_byte_level(const decoder *self, const pieces *from, pieces *to) {
  (void)self;
  buffer bytes = {0}, text = {0};
  for (int64_t i = 0; i < from->count; i++) add_token(pieces_get(from, i), &bytes);
  utf8_add_repaired(&text, buffer_span(&bytes));
  decoder_add(to, buffer_span(&text));
  buffer_clear(&bytes);
  buffer_clear(&text);
  return ESP_OK;
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The byte of a token <0xXX>, -1: it is another. */
static int read_byte(span token) {
  if (token.count != 6 || memcmp(token.bytes, "<0x", 3) != 0 || token.bytes[5] != '>') return -1;
  const char high = token.bytes[3], low = token.bytes[4];
  if (high == '+') return digit(low); // as the reference's parser of numbers does
  return digit(high) < 0 || digit(low) < 0 ? -1 : digit(high) * 16 + digit(low);
}

/* A run of bytes is one text, or, if it is no UTF-8, one U+FFFD a byte. */
static void end_run(buffer *run, pieces *to) {
  const span bytes = buffer_span(run);
  if (bytes.count > 0 && utf8_count_valid(bytes) == bytes.count)
    decoder_add(to, bytes);
  else
    for (int64_t i = 0; i < bytes.count; i++) decoder_add(to, span_of("\xEF\xBF\xBD"));
  run->count = 0;
}

static esp_status apply_byte_fallback(const decoder *self, const pieces *from, pieces *to) {
  (void)self;
  buffer run = {0};
  for (int64_t i = 0; i < from->count; i++) {
    const int byte = read_byte(pieces_get(from, i));
    if (byte >= 0) {
      buffer_add(&run, (span){(const char[]){(char)byte}, 1});
      continue;
    }
    end_run(&run, to);
    decoder_add(to, pieces_get(from, i));
  }
  end_run(&run, to);
  buffer_clear(&run);
  return ESP_OK;
}

const decoder_kind decoder_byte_level = {"ByteLevel", NULL, apply_byte_level};
const decoder_kind decoder_byte_fallback = {"ByteFallback", NULL, apply_byte_fallback};
