#include "decoders.h"

#include "espalier/core/memory.h"

static esp_status read_sequence(const json_place *of, decoder *self) {
  const json_t *items;
  ESP_TRY(field_array(of, "decoders", &items));
  const size_t n = json_array_size(items);
  self->steps = ESP_NEW(decoder, (int64_t)n);
  for (size_t i = 0; i < n; i++) {
    const json_place inside = {of->name, json_array_get(items, i)};
    self->n_steps++;
    ESP_TRY(decoder_read(&inside, self->depth + 1, &self->steps[i]));
  }
  return ESP_OK;
}

/* Its steps are gone through by decoder_apply. */
static const decoder_kind decoder_sequence = {"Sequence", read_sequence, NULL};

static const decoder_kind *const kinds[] = {&decoder_sequence,  &decoder_byte_level,
                                            &decoder_metaspace, &decoder_byte_fallback,
                                            &decoder_wordpiece, &decoder_bpe,
                                            &decoder_fuse,      &decoder_strip,
                                            &decoder_replace,   NULL};

esp_status decoder_read(const json_place *of, int depth, decoder *self) {
  int i;
  ESP_TRY(check_depth(of, depth));
  ESP_TRY(field_kind(of, "decoder", kinds, &i));
  self->kind = kinds[i];
  self->depth = depth;
  return self->kind->read ? self->kind->read(of, self) : ESP_OK;
}

void decoder_add(pieces *to, span text) {
  const int64_t begin = to->bytes.count;
  buffer_add(&to->bytes, text);
  pieces_add(to, (piece){begin, text.count, 0, false}); // a token's place: kept though it is empty
}

esp_status decoder_apply(const decoder *self, pieces *text) {
  for (int i = 0; i < self->n_steps; i++) ESP_TRY(decoder_apply(&self->steps[i], text));
  if (!self->kind->apply) return ESP_OK;
  pieces to = {0};
  const esp_status status = self->kind->apply(self, text, &to);
  pieces_replace(text, &to);
  pieces_clear(&to);
  return status;
}

void decoder_clear(decoder *self) {
  for (int i = 0; i < self->n_steps; i++) decoder_clear(&self->steps[i]);
  esp_free(&self->steps);
  pattern_free(&self->pattern);
  buffer_clear(&self->content);
  *self = (decoder){0};
}
