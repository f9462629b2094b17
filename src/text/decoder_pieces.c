/* Decoders that change each token's text, or join them. */
#include "decoders.h"

#include "espalier/core/memory.h"

static esp_status read_metaspace(const json_place *of, decoder *self) {
  ESP_TRY(field_character(of, "replacement", &self->character));
  return read_prepend_scheme(of, &self->prepend);
}

static esp_status apply_metaspace(const decoder *self, const pieces *from, pieces *to) {
  buffer text = {0};
  for (int64_t i = 0; i < from->count; i++) {
    const span of = pieces_get(from, i);
    text.count = 0;
    for (int64_t k = 0; k < of.count; k += utf8_length((unsigned char)of.bytes[k])) {
      const uint32_t c = utf8_read(of.bytes + k);
      if (c != self->character)
        buffer_add_char(&text, c);
      else if (i > 0 || self->prepend == PREPEND_NEVER)
        buffer_add_char(&text, ' ');
    }
    decoder_add(to, buffer_span(&text));
  }
  buffer_clear(&text);
  return ESP_OK;
}

/* Replace every place of a string, which is not empty. */
static void replace(buffer *text, span what, span by) {
  buffer to = {0};
  int64_t i = 0;
  while (i < text->count) {
    const bool is_here = text->count - i >= what.count &&
                         memcmp(text->bytes + i, what.bytes, (size_t)what.count) == 0;
    buffer_add(&to, is_here ? by : (span){text->bytes + i, 1});
    i += is_here ? what.count : 1;
  }
  buffer_clear(text);
  *text = to;
}

static void clean(buffer *text) {
  static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},           {" !", "!"},
                                         {" ,", ","},     {" ' ", "'"},          {" n't", "n't"},
                                         {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},
                                         {" 've", "'ve"}, {" 're", "'re"}};
  for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++)
    replace(text, span_of(pairs[i][0]), span_of(pairs[i][1]));
}

static esp_status read_wordpiece(const json_place *of, decoder *self) {
  span prefix = {NULL, 0};
  ESP_TRY(field_text(of, "prefix", &prefix));
  buffer_add(&self->content, prefix);
  return field_flag(of, "cleanup", true, &self->cleans);
}

static esp_status apply_wordpiece(const decoder *self, const pieces *from, pieces *to) {
  const span prefix = buffer_span(&self->content);
  buffer text = {0};
  for (int64_t i = 0; i < from->count; i++) {
    span of = pieces_get(from, i);
    const bool is_inner =
        of.count >= prefix.count &&
        (prefix.count == 0 || memcmp(of.bytes, prefix.bytes, (size_t)prefix.count) == 0);
    text.count = 0;
    if (i > 0 && is_inner) of = (span){of.bytes + prefix.count, of.count - prefix.count};
    if (i > 0 && !is_inner) buffer_add_char(&text, ' ');
    buffer_add(&text, of);
    if (self->cleans) clean(&text);
    decoder_add(to, buffer_span(&text));
  }
  buffer_clear(&text);
  return ESP_OK;
}

static esp_status read_bpe(const json_place *of, decoder *self) {
  span suffix = {NULL, 0};
  ESP_TRY(field_text(of, "suffix", &suffix));
  buffer_add(&self->content, suffix);
  if (suffix.count > 0) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: BPEDecoder: a suffix is expected, found an empty one", of->name);
}

static esp_status apply_bpe(const decoder *self, const pieces *from, pieces *to) {
  for (int64_t i = 0; i < from->count; i++) {
    buffer text = {0};
    buffer_add(&text, pieces_get(from, i));
    replace(&text, buffer_span(&self->content), span_of(i + 1 == from->count ? "" : " "));
    decoder_add(to, buffer_span(&text));
    buffer_clear(&text);
  }
  return ESP_OK;
}

static esp_status apply_fuse(const decoder *self, const pieces *from, pieces *to) {
  (void)self;
  for (int64_t i = 0; i < from->count; i++) buffer_add(&to->bytes, pieces_get(from, i));
  pieces_add(to, (piece){0, to->bytes.count, 0, false});
  return ESP_OK;
}

static esp_status read_strip(const json_place *of, decoder *self) {
  const field_range range = {0, INT32_MAX, 0};
  ESP_TRY(field_character(of, "content", &self->character));
  ESP_TRY(field_integer(of, "start", range, &self->start));
  return field_integer(of, "stop", range, &self->stop);
}

static esp_status apply_strip(const decoder *self, const pieces *from, pieces *to) {
  for (int64_t i = 0; i < from->count; i++) {
    const span of = pieces_get(from, i);
    int64_t begin = 0, end = of.count;
    for (int64_t k = 0; k < self->start && begin < end; k++) {
      if (utf8_read(of.bytes + begin) != self->character) break;
      begin += utf8_length((unsigned char)of.bytes[begin]);
    }
    for (int64_t k = 0; k < self->stop && end > begin; k++) {
      if (utf8_read_before(of.bytes, of.bytes + end) != self->character) break;
      end--;
      while (((unsigned char)of.bytes[end] & 0xC0) == 0x80) end--;
    }
    decoder_add(to, (span){of.bytes + begin, end - begin});
  }
  return ESP_OK;
}

static esp_status read_replace(const json_place *of, decoder *self) {
  span source, content;
  bool is_literal;
  ESP_TRY(field_pattern(of, "pattern", &source, &is_literal));
  ESP_TRY(field_text(of, "content", &content));
  buffer_add(&self->content, content);
  return pattern_new(of->name, source, is_literal, &self->pattern);
}

static esp_status apply_replace(const decoder *self, const pieces *from, pieces *to) {
  buffer text = {0};
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < from->count && status == ESP_OK; i++) {
    text.count = 0;
    status =
        pattern_replace(self->pattern, pieces_get(from, i), buffer_span(&self->content), &text);
    decoder_add(to, buffer_span(&text));
  }
  buffer_clear(&text);
  return status;
}

const decoder_kind decoder_metaspace = {"Metaspace", read_metaspace, apply_metaspace};
const decoder_kind decoder_wordpiece = {"WordPiece", read_wordpiece, apply_wordpiece};
const decoder_kind decoder_bpe = {"BPEDecoder", read_bpe, apply_bpe};
const decoder_kind decoder_fuse = {"Fuse", NULL, apply_fuse};
const decoder_kind decoder_strip = {"Strip", read_strip, apply_strip};
const decoder_kind decoder_replace = {"Replace", read_replace, apply_replace};
