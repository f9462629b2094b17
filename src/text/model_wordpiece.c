/* WordPiece: of a word the longest token in front, again and again. */
#include "models.h"

static esp_status read_fields(const json_place *of, model *self) {
  span text = {NULL, 0};
  ESP_TRY(field_text(of, "unk_token", &text));
  self->has_unknown = true;
  buffer_add(&self->unknown, text);
  ESP_TRY(field_text(of, "continuing_subword_prefix", &text));
  buffer_add(&self->prefix, text);
  return field_integer(of, "max_input_chars_per_word", (field_range){0, INT32_MAX, 100},
                       &self->most_characters);
}

/* A token may stand in front and, where it begins with the prefix, inside. */
static void plant(model *self) {
  for (int32_t i = 0; i < self->vocabulary.count; i++) {
    const entry *of = &self->vocabulary.entries[i];
    const span token = buffer_part(&self->vocabulary.bytes, of->begin, of->count);
    const int64_t front = self->prefix.count;
    if (token.count > 0) prefix_tree_add(&self->tree, token, of->id);
    if (token.count > front &&
        memcmp(token.bytes, self->prefix.bytes ? self->prefix.bytes : "", (size_t)front) == 0)
      prefix_tree_add(&self->inner, (span){token.bytes + front, token.count - front}, of->id);
  }
}

static esp_status read(const json_place *of, model *self) {
  ESP_TRY(read_fields(of, self));
  ESP_TRY(model_read_vocabulary(of, self));
  self->unknown_id = vocabulary_find(&self->vocabulary, buffer_span(&self->unknown));
  plant(self);
  return ESP_OK;
}

static esp_status add_unknown(const model *self, span word, esp_token_ids *ids) {
  if (self->unknown_id < 0) return model_fail_unknown(self, word);
  esp_token_ids_add(ids, self->unknown_id);
  return ESP_OK;
}

static esp_status encode(model *self, span word, esp_token_ids *ids) {
  const int64_t before = ids->count;
  if (utf8_count(word) > self->most_characters) return add_unknown(self, word, ids);
  for (int64_t at = 0; at < word.count;) {
    int64_t count;
    const int32_t id = prefix_tree_find(at == 0 ? &self->tree : &self->inner,
                                        (span){word.bytes + at, word.count - at}, &count);
    if (id < 0) {
      ids->count = before;
      return add_unknown(self, word, ids);
    }
    esp_token_ids_add(ids, id);
    at += count;
  }
  return ESP_OK;
}

const model_kind model_wordpiece = {"WordPiece", read, encode};
