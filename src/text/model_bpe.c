/* Byte-pair encoding: characters, merged by rank. Source: huggingface/tokenizers, models/bpe. */
#include "merges.h"

#include "espalier/core/memory.h"

static esp_status check_dropout(const json_place *of) {
  const json_t *dropout = json_object_get(of->object, "dropout");
  if (!dropout || json_is_null(dropout) || json_number_value(dropout) == 0.0) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: dropout: null or 0 is expected, found something else; tokens by chance are "
                  "not supported: set it to null",
                  of->name);
}

static esp_status read_text(const json_place *of, const char *key, buffer *to) {
  span text = {NULL, 0};
  ESP_TRY(field_text_or_none(of, key, &text));
  if (text.bytes) buffer_add(to, text);
  return ESP_OK;
}

static esp_status read_fields(const json_place *of, model *self) {
  span unknown = {NULL, 0};
  ESP_TRY(check_dropout(of));
  ESP_TRY(field_text_or_none(of, "unk_token", &unknown));
  self->has_unknown = unknown.bytes != NULL;
  if (unknown.bytes) buffer_add(&self->unknown, unknown);
  ESP_TRY(read_text(of, "continuing_subword_prefix", &self->prefix));
  ESP_TRY(read_text(of, "end_of_word_suffix", &self->suffix));
  ESP_TRY(field_flag(of, "fuse_unk", false, &self->fuses_unknown));
  ESP_TRY(field_flag(of, "byte_fallback", false, &self->falls_to_bytes));
  return field_flag(of, "ignore_merges", false, &self->ignores_merges);
}

static esp_status read(const json_place *of, model *self) {
  ESP_TRY(read_fields(of, self));
  ESP_TRY(model_read_vocabulary(of, self));
  if (self->has_unknown)
    self->unknown_id = vocabulary_find(&self->vocabulary, buffer_span(&self->unknown));
  model_find_bytes(self);
  self->work = ESP_NEW(merge_work, 1);
  return merges_read(of, self);
}

/* The id of a character at its place in a word, with what the file puts before or behind it. */
static int32_t find_character(const model *self, span c, bool is_first, bool is_last) {
  const bool before = !is_first && self->prefix.count > 0,
             behind = is_last && self->suffix.count > 0;
  if (!before && !behind) return vocabulary_find(&self->vocabulary, c);
  buffer whole = {0};
  if (before) buffer_add(&whole, buffer_span(&self->prefix));
  buffer_add(&whole, c);
  if (behind) buffer_add(&whole, buffer_span(&self->suffix));
  const int32_t id = vocabulary_find(&self->vocabulary, buffer_span(&whole));
  buffer_clear(&whole);
  return id;
}

/* Bytes of a character, with what the file puts around it, as tokens of their own: if all are. */
static bool add_bytes(const model *self, span c, bool is_first, bool is_last) {
  const span parts[] = {{self->prefix.bytes, is_first ? 0 : self->prefix.count},
                        c,
                        {self->suffix.bytes, is_last ? self->suffix.count : 0}};
  for (int pass = 0; pass < 2; pass++)
    for (int k = 0; k < 3; k++)
      for (int64_t i = 0; i < parts[k].count; i++) {
        const int32_t id = self->byte_ids[(unsigned char)parts[k].bytes[i]];
        if (id < 0) return false;
        if (pass == 1) merge_work_add(self->work, id);
      }
  return true;
}

/* Unknown characters wait: some are fused. */
typedef struct unknown_run {
  bool is_waiting;
} unknown_run;

static void flush(const model *self, unknown_run *run) {
  if (run->is_waiting) merge_work_add(self->work, self->unknown_id);
  run->is_waiting = false;
}

static esp_status add_unknown(const model *self, span c, unknown_run *run) {
  if (!self->has_unknown) return ESP_OK; // dropped, as the reference does
  if (self->unknown_id < 0) return model_fail_unknown(self, c);
  if (!self->fuses_unknown) flush(self, run);
  run->is_waiting = true;
  return ESP_OK;
}

static esp_status add_characters(const model *self, span word) {
  unknown_run run = {0};
  for (int64_t i = 0; i < word.count;) {
    const span c = {word.bytes + i, utf8_length((unsigned char)word.bytes[i])};
    const bool is_first = i == 0, is_last = i + c.count == word.count;
    const int32_t id = find_character(self, c, is_first, is_last);
    i += c.count;
    if (id >= 0) {
      flush(self, &run);
      merge_work_add(self->work, id);
    } else if (!self->falls_to_bytes || !add_bytes(self, c, is_first, is_last)) {
      ESP_TRY(add_unknown(self, c, &run));
    }
  }
  flush(self, &run);
  return ESP_OK;
}

/* Words so long are not expected, and places are 32 bits. */
enum { MOST_WORD_BYTES = 1 << 30 };

static esp_status encode(model *self, span word, esp_token_ids *ids) {
  if (word.count > MOST_WORD_BYTES)
    return esp_fail(ESP_FORMAT,
                    "%s: a word of at most %d bytes is expected, found %lld; cut the text",
                    self->name, (int)MOST_WORD_BYTES, (long long)word.count);
  if (self->ignores_merges) {
    const int32_t id = vocabulary_find(&self->vocabulary, word);
    if (id >= 0) {
      esp_token_ids_add(ids, id);
      return ESP_OK;
    }
  }
  self->work->n_symbols = 0;
  ESP_TRY(add_characters(self, word));
  merge_work_run(self->work, self->merges, ids);
  return ESP_OK;
}

/* Bytes of the front of a word that nothing joins to its rest: between two known characters that no
 * merge brings together. */
int64_t bpe_count_front(const model *self, span word) {
  if (self->prefix.count > 0 || self->suffix.count > 0) return word.count;
  uint32_t before = 0;
  bool was_known = false;
  for (int64_t i = 0; i < word.count;) {
    const span c = {word.bytes + i, utf8_length((unsigned char)word.bytes[i])};
    const uint32_t character = utf8_read(c.bytes);
    const bool may_join = !was_known || merges_may_join(self->merges, before, character);
    const bool is_known = vocabulary_find(&self->vocabulary, c) >= 0;
    if (!may_join && is_known) return i;
    before = character;
    was_known = is_known;
    i += c.count;
  }
  return word.count;
}

const model_kind model_bpe = {"BPE", read, encode};
