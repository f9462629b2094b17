/* Normal forms, letter case, accents, white space at the ends. */
#include "normalizers.h"
#include "unicode.h"

#define FORM(name, form)                                                               \
  static esp_status apply_##name(const normalizer *self, span from, normal_text *to) { \
    (void)self;                                                                        \
    unicode_add_normal(&to->bytes, from, form);                                        \
    return ESP_OK;                                                                     \
  }                                                                                    \
  const normalizer_kind normalizer_##name = {#form, NULL, apply_##name};
FORM(nfc, NFC)
FORM(nfd, NFD)
FORM(nfkc, NFKC)
FORM(nfkd, NFKD)

static esp_status lower(const normalizer *self, span from, normal_text *to) {
  (void)self;
  for (int64_t i = 0; i < from.count; i += utf8_length((unsigned char)from.bytes[i]))
    unicode_add_lower(&to->bytes, utf8_read(from.bytes + i));
  return ESP_OK;
}

static bool is_no_mark(uint32_t c) {
  return !unicode_is_mark(c);
}

static esp_status strip_accents(const normalizer *self, span from, normal_text *to) {
  (void)self;
  normalizer_keep(from, is_no_mark, to);
  return ESP_OK;
}

static esp_status read_strip(const json_place *of, normalizer *self) {
  ESP_TRY(field_flag(of, "strip_left", true, &self->left));
  return field_flag(of, "strip_right", true, &self->right);
}

static esp_status strip(const normalizer *self, span from, normal_text *to) {
  int64_t begin = 0, end = from.count;
  while (self->left && begin < end && unicode_is_space(utf8_read(from.bytes + begin)))
    begin += utf8_length((unsigned char)from.bytes[begin]);
  while (self->right && begin < end) {
    const uint32_t c = utf8_read_before(from.bytes + begin, from.bytes + end);
    if (!unicode_is_space(c)) break;
    end--;
    while (((unsigned char)from.bytes[end] & 0xC0) == 0x80) end--;
  }
  if (begin > 0) to->is_cut = true;
  buffer_add(&to->bytes, (span){from.bytes + begin, end - begin});
  return ESP_OK;
}

/* Control characters that the NMT rules drop. */
static bool is_kept(uint32_t c) {
  return !((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
           c == 0x9F);
}

/* And those that become a space. */
static bool is_space(uint32_t c) {
  return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
         c == 0xFFFD;
}

static esp_status apply_nmt(const normalizer *self, span from, normal_text *to) {
  (void)self;
  normal_text kept = {.is_cut = to->is_cut};
  normalizer_keep(from, is_kept, &kept);
  to->is_cut = kept.is_cut;
  const span of = buffer_span(&kept.bytes);
  for (int64_t i = 0; i < of.count; i += utf8_length((unsigned char)of.bytes[i])) {
    const uint32_t c = utf8_read(of.bytes + i);
    buffer_add_char(&to->bytes, is_space(c) ? ' ' : c);
  }
  buffer_clear(&kept.bytes);
  return ESP_OK;
}

const normalizer_kind normalizer_lowercase = {"Lowercase", NULL, lower};
const normalizer_kind normalizer_strip_accents = {"StripAccents", NULL, strip_accents};
const normalizer_kind normalizer_strip = {"Strip", read_strip, strip};
const normalizer_kind normalizer_nmt = {"Nmt", NULL, apply_nmt};
