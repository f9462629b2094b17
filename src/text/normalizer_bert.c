#include "normalizers.h"
#include "unicode.h"

static esp_status read(const json_place *of, normalizer *self) {
  ESP_TRY(field_flag(of, "clean_text", true, &self->clean));
  ESP_TRY(field_flag(of, "handle_chinese_chars", true, &self->spaces_chinese));
  ESP_TRY(field_flag(of, "lowercase", true, &self->lowers));
  return field_flag(of, "strip_accents", self->lowers, &self->strips_accents);
}

/* Blocks that the reference takes for Chinese; one begins later than in Unicode. */
static bool is_chinese(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static bool is_clean(uint32_t c) {
  return c != 0 && c != 0xFFFD && !unicode_is_control(c);
}

static void space(const normalizer *self, span from, buffer *to) {
  for (int64_t i = 0; i < from.count; i += utf8_length((unsigned char)from.bytes[i])) {
    const uint32_t c = utf8_read(from.bytes + i);
    const bool is_spaced = self->spaces_chinese && is_chinese(c);
    if (is_spaced) buffer_add_char(to, ' ');
    buffer_add_char(to, self->clean && unicode_is_space(c) ? ' ' : c);
    if (is_spaced) buffer_add_char(to, ' ');
  }
}

static bool is_no_accent(uint32_t c) {
  return !unicode_is_nonspacing(c);
}

/* Work's text goes into a normal form, from whose characters to gets those that are no accents. */
static void strip_accents(normal_text *work, normal_text *to) {
  buffer normal = {0};
  unicode_add_normal(&normal, buffer_span(&work->bytes), NFD);
  normalizer_keep(buffer_span(&normal), is_no_accent, to);
  buffer_clear(&normal);
}

static void lower(buffer *text) {
  buffer to = {0};
  for (int64_t i = 0; i < text->count; i += utf8_length((unsigned char)text->bytes[i]))
    unicode_add_lower(&to, utf8_read(text->bytes + i));
  buffer_clear(text);
  *text = to;
}

static esp_status apply(const normalizer *self, span from, normal_text *to) {
  normal_text clean = {0}, spaced = {0};
  if (self->clean) {
    normalizer_keep(from, is_clean, &clean);
    from = buffer_span(&clean.bytes);
  }
  space(self, from, &spaced.bytes);
  if (clean.is_cut) to->is_cut = true;
  if (self->strips_accents)
    strip_accents(&spaced, to);
  else
    buffer_add(&to->bytes, buffer_span(&spaced.bytes));
  if (self->lowers) lower(&to->bytes);
  buffer_clear(&clean.bytes);
  buffer_clear(&spaced.bytes);
  return ESP_OK;
}

const normalizer_kind normalizer_bert = {"BertNormalizer", read, apply};
