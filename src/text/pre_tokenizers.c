#include "pre_tokenizers.h"

#include "espalier/core/memory.h"

static esp_status read_sequence(const json_place *of, pre_tokenizer *self) {
  const json_t *items;
  ESP_TRY(field_array(of, "pretokenizers", &items));
  const size_t n = json_array_size(items);
  self->steps = ESP_NEW(pre_tokenizer, (int64_t)n);
  for (size_t i = 0; i < n; i++) {
    const json_place inside = {of->name, json_array_get(items, i)};
    self->n_steps++;
    ESP_TRY(pre_tokenizer_read(&inside, self->depth + 1, &self->steps[i]));
  }
  return ESP_OK;
}

static esp_status apply_sequence(const pre_tokenizer *self, pieces *text) {
  for (int i = 0; i < self->n_steps; i++) ESP_TRY(pre_tokenizer_apply(&self->steps[i], text));
  return ESP_OK;
}

static const pre_tokenizer_kind pre_tokenizer_sequence = {"Sequence", read_sequence,
                                                          apply_sequence};

static const pre_tokenizer_kind *const kinds[] = {&pre_tokenizer_sequence,
                                                  &pre_tokenizer_byte_level,
                                                  &pre_tokenizer_metaspace,
                                                  &pre_tokenizer_split,
                                                  &pre_tokenizer_whitespace,
                                                  &pre_tokenizer_whitespace_split,
                                                  &pre_tokenizer_bert,
                                                  &pre_tokenizer_digits,
                                                  &pre_tokenizer_punctuation,
                                                  &pre_tokenizer_delimiter,
                                                  NULL};

esp_status pre_tokenizer_read(const json_place *of, int depth, pre_tokenizer *self) {
  int i;
  ESP_TRY(check_depth(of, depth));
  ESP_TRY(field_kind(of, "pre-tokenizer", kinds, &i));
  self->kind = kinds[i];
  self->depth = depth;
  return self->kind->read ? self->kind->read(of, self) : ESP_OK;
}

esp_status pre_tokenizer_apply(const pre_tokenizer *self, pieces *text) {
  return self->kind->apply(self, text);
}

void pre_tokenizer_clear(pre_tokenizer *self) {
  for (int i = 0; i < self->n_steps; i++) pre_tokenizer_clear(&self->steps[i]);
  esp_free(&self->steps);
  pattern_free(&self->by.pattern);
  *self = (pre_tokenizer){0};
}
