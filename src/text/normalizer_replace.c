/* Replace, Prepend, and the bytes of a text as characters. */
#include "byte_level.h"
#include "normalizers.h"

static esp_status read_replace(const json_place *of, normalizer *self) {
  span source, content;
  bool is_literal;
  ESP_TRY(field_pattern(of, "pattern", &source, &is_literal));
  ESP_TRY(field_text(of, "content", &content));
  buffer_add(&self->content, content);
  return pattern_new(of->name, source, is_literal, &self->pattern);
}

/* Whether a match at the front is removed. */
static esp_status note_cut(const normalizer *self, span from, normal_text *to) {
  matches found = {0};
  const esp_status status = pattern_find(self->pattern, from, &found);
  if (found.count > 0 && found.items[0].is_match && found.items[0].end > 0) to->is_cut = true;
  matches_clear(&found);
  return status;
}

static esp_status replace(const normalizer *self, span from, normal_text *to) {
  if (self->content.count == 0) ESP_TRY(note_cut(self, from, to));
  return pattern_replace(self->pattern, from, buffer_span(&self->content), &to->bytes);
}

static esp_status read_prepend(const json_place *of, normalizer *self) {
  span content = {NULL, 0};
  ESP_TRY(field_text(of, "prepend", &content));
  buffer_add(&self->content, content);
  return ESP_OK;
}

static esp_status prepend(const normalizer *self, span from, normal_text *to) {
  buffer_add(&to->bytes, buffer_span(&self->content));
  buffer_add(&to->bytes, from);
  return ESP_OK;
}

static esp_status write_bytes(const normalizer *self, span from, normal_text *to) {
  (void)self;
  byte_level_add(&to->bytes, from);
  return ESP_OK;
}

const normalizer_kind normalizer_replace = {"Replace", read_replace, replace};
const normalizer_kind normalizer_prepend = {"Prepend", read_prepend, prepend};
const normalizer_kind normalizer_byte_level = {"ByteLevel", NULL, write_bytes};
