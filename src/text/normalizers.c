#include "normalizers.h"

#include "espalier/core/memory.h"

static esp_status read_sequence(const json_place *of, normalizer *self);

/* Its steps are gone through by normalizer_apply. */
static const normalizer_kind normalizer_sequence = {"Sequence", read_sequence, NULL};

static const normalizer_kind *const kinds[] = {
    &normalizer_sequence,      &normalizer_bert,       &normalizer_precompiled,
    &normalizer_replace,       &normalizer_prepend,    &normalizer_strip,
    &normalizer_strip_accents, &normalizer_lowercase,  &normalizer_nfc,
    &normalizer_nfd,           &normalizer_nfkc,       &normalizer_nfkd,
    &normalizer_nmt,           &normalizer_byte_level, NULL};

static esp_status read_sequence(const json_place *of, normalizer *self) {
  const json_t *items;
  ESP_TRY(field_array(of, "normalizers", &items));
  const size_t n = json_array_size(items);
  self->steps = ESP_NEW(normalizer, (int64_t)n);
  for (size_t i = 0; i < n; i++) {
    const json_place inside = {of->name, json_array_get(items, i)};
    self->n_steps++;
    ESP_TRY(normalizer_read(&inside, self->depth + 1, &self->steps[i]));
  }
  return ESP_OK;
}

esp_status normalizer_read(const json_place *of, int depth, normalizer *self) {
  int i;
  ESP_TRY(check_depth(of, depth));
  ESP_TRY(field_kind(of, "normalizer", kinds, &i));
  self->kind = kinds[i];
  self->depth = depth;
  return self->kind->read ? self->kind->read(of, self) : ESP_OK;
}

static void put(span from, normal_text *to) {
  to->bytes.count = 0;
  buffer_add(&to->bytes, from);
}

static esp_status check_growth(span from, const normal_text *to) {
  if (to->bytes.count <= MOST_GROWTH * from.count + FREE_GROWTH) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "normalizer: a sequence makes %lld bytes of text more than %d times as long; use "
                  "another tokenizer file",
                  (long long)from.count, (int)MOST_GROWTH);
}

esp_status normalizer_apply(const normalizer *self, span from, normal_text *to) {
  if (!self->steps) {
    to->bytes.count = 0;
    return from.count > 0 ? self->kind->apply(self, from, to) : ESP_OK;
  }
  normal_text before = {0};
  put(from, to);
  esp_status status = ESP_OK;
  for (int i = 0; i < self->n_steps && status == ESP_OK; i++) {
    const buffer old = before.bytes;
    before.bytes = to->bytes;
    to->bytes = old;
    status = normalizer_apply(&self->steps[i], buffer_span(&before.bytes), to);
    if (status == ESP_OK) status = check_growth(from, to);
  }
  buffer_clear(&before.bytes);
  return status;
}

void normalizer_clear(normalizer *self) {
  for (int i = 0; i < self->n_steps; i++) normalizer_clear(&self->steps[i]);
  esp_free(&self->steps);
  pattern_free(&self->pattern);
  charsmap_free(&self->map);
  buffer_clear(&self->content);
  *self = (normalizer){0};
}

void normalizer_keep(span from, bool (*keep)(uint32_t c), normal_text *to) {
  const int64_t before = to->bytes.count;
  int64_t begin = 0;
  for (int64_t i = 0; i < from.count;) {
    const int length = utf8_length((unsigned char)from.bytes[i]);
    if (!keep(utf8_read(from.bytes + i))) {
      buffer_add(&to->bytes, (span){from.bytes + begin, i - begin});
      if (to->bytes.count == before) to->is_cut = true;
      begin = i + length;
    }
    i += length;
  }
  buffer_add(&to->bytes, (span){from.bytes + begin, from.count - begin});
}
