/* The rules of sentencepiece, as its models carry them: a double array (Darts) of byte strings,
 * each with a place in a table of replacements that end with a zero byte. */
#include "normalizers.h"
#include "unicode.h"

#include "espalier/core/memory.h"

struct charsmap {
  uint32_t *units; // (count), owned
  int64_t count;
  buffer replacements;
  char *file;
};

static int decode_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 with padding; false where it is none. */
static bool decode(span from, buffer *to) {
  if (from.count % 4 != 0) return false;
  for (int64_t i = 0; i < from.count; i += 4) {
    const bool is_last = i + 4 == from.count;
    const int padding = !is_last || from.bytes[i + 3] != '=' ? 0 : from.bytes[i + 2] == '=' ? 2 : 1;
    uint32_t word = 0;
    for (int k = 0; k < 4; k++) {
      const int digit = k < 4 - padding ? decode_digit(from.bytes[i + k]) : 0;
      if (digit < 0) return false;
      word = word << 6 | (uint32_t)digit;
    }
    const char bytes[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
    buffer_add(to, (span){bytes, 3 - padding});
  }
  return true;
}

static uint32_t read_word(const char *bytes) {
  const unsigned char *b = (const unsigned char *)bytes;
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static esp_status fail_map(const char *file, const char *what) {
  return esp_fail(ESP_FORMAT,
                  "%s: precompiled_charsmap is damaged: %s; repair the file, or take another", file,
                  what);
}

static esp_status unpack(const char *file, span bytes, charsmap *self) {
  if (bytes.count < 4) return fail_map(file, "its length is missing");
  const int64_t size = read_word(bytes.bytes);
  if (size < 4 || size > bytes.count - 4) return fail_map(file, "it is shorter than it says");
  self->count = size / 4;
  self->units = ESP_NEW(uint32_t, self->count);
  for (int64_t i = 0; i < self->count; i++) self->units[i] = read_word(bytes.bytes + 4 + 4 * i);
  const int64_t rest = 4 + 4 * self->count;
  buffer_add(&self->replacements, (span){bytes.bytes + rest, bytes.count - rest});
  if (utf8_count_valid(buffer_span(&self->replacements)) < self->replacements.count)
    return fail_map(file, "its replacements are no UTF-8");
  return ESP_OK;
}

static esp_status read(const json_place *of, normalizer *self) {
  span text = {NULL, 0};
  buffer bytes = {0};
  ESP_TRY(field_text(of, "precompiled_charsmap", &text));
  self->map = ESP_NEW(charsmap, 1);
  self->map->file = esp_strdup(of->name);
  const esp_status status = decode(text, &bytes) ? unpack(of->name, buffer_span(&bytes), self->map)
                                                 : fail_map(of->name, "it is no base64");
  buffer_clear(&bytes);
  return status;
}

void charsmap_free(charsmap **pointer) {
  charsmap *self = *pointer;
  if (!self) return;
  esp_free(&self->units);
  buffer_clear(&self->replacements);
  esp_free(&self->file);
  esp_free(pointer);
}

static int64_t get_offset(uint32_t unit) {
  return (int64_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* Find the shortest string of the map that text begins with: its replacement's place, -1: none, -2:
 * the map leads nowhere. */
static int64_t find(const charsmap *self, span text) {
  int64_t at = get_offset(self->units[0]);
  for (int64_t i = 0; i < text.count && text.bytes[i] != 0; i++) {
    const unsigned char byte = (unsigned char)text.bytes[i];
    at ^= byte;
    if (at >= self->count) return -2;
    const uint32_t unit = self->units[at];
    if ((unit & (1u << 31 | 0xFF)) != byte) return -1;
    at ^= get_offset(unit);
    if (at >= self->count) return -2;
    if (unit >> 8 & 1) return self->units[at] & ~(1u << 31);
  }
  return -1;
}

/* Add what a part becomes, if it does; the whole part, though only its front is in the map. */
static esp_status transform(const charsmap *self, span part, buffer *to, bool *is_done) {
  const int64_t place = find(self, part);
  *is_done = place >= 0;
  if (place == -1) return ESP_OK;
  if (place < 0 || place > self->replacements.count)
    return fail_map(self->file, "it leads out of itself");
  span made = buffer_part(&self->replacements, place, self->replacements.count - place);
  const char *end = made.count > 0 ? memchr(made.bytes, 0, (size_t)made.count) : NULL;
  if (end) made.count = end - made.bytes;
  if (utf8_count_valid(made) < made.count)
    return fail_map(self->file, "a replacement begins inside of a character");
  buffer_add(to, made);
  return ESP_OK;
}

static esp_status transform_cluster(const charsmap *self, span cluster, buffer *to) {
  bool is_done = false;
  if (cluster.count < 6) ESP_TRY(transform(self, cluster, to, &is_done));
  for (int64_t i = 0; i < cluster.count && !is_done;) {
    const span part = {cluster.bytes + i, utf8_length((unsigned char)cluster.bytes[i])};
    bool is_replaced;
    ESP_TRY(transform(self, part, to, &is_replaced));
    if (!is_replaced) buffer_add(to, part);
    i += part.count;
  }
  return ESP_OK;
}

/* Bytes of the grapheme cluster in front. */
static int64_t count_cluster(span text) {
  int64_t end = utf8_length((unsigned char)text.bytes[0]);
  uint32_t before = utf8_read(text.bytes);
  int32_t state = 0;
  while (end < text.count) {
    const uint32_t c = utf8_read(text.bytes + end);
    if (unicode_is_break(before, c, &state)) break;
    before = c;
    end += utf8_length((unsigned char)text.bytes[end]);
  }
  return end;
}

static esp_status apply(const normalizer *self, span from, normal_text *to) {
  const int64_t before = to->bytes.count;
  while (from.count > 0) {
    const span cluster = {from.bytes, count_cluster(from)};
    ESP_TRY(transform_cluster(self->map, cluster, &to->bytes));
    if (to->bytes.count == before) to->is_cut = true;
    from.bytes += cluster.count;
    from.count -= cluster.count;
  }
  return ESP_OK;
}

const normalizer_kind normalizer_precompiled = {"Precompiled", read, apply};
