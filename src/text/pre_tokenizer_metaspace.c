#include "pre_tokenizers.h"

#include "espalier/core/named.h"

#include <string.h>

static const char *const schemes[] = {"always", "first", "never", NULL};

esp_status read_prepend_scheme(const json_place *of, prepend_scheme *value) {
  span name = {NULL, 0};
  bool adds;
  int i = PREPEND_ALWAYS;
  ESP_TRY(field_text_or_none(of, "prepend_scheme", &name));
  ESP_TRY(field_flag(of, "add_prefix_space", true, &adds));
  if (name.bytes &&
      esp_find_row("prepend_scheme", name.bytes, schemes, sizeof *schemes, &i) != ESP_OK)
    return esp_fail(ESP_FORMAT, "%s: Metaspace: %s", of->name, esp_failure_text());
  if (name.bytes && !adds && i != PREPEND_NEVER)
    return esp_fail(ESP_FORMAT,
                    "%s: Metaspace: add_prefix_space false and prepend_scheme %s do not belong "
                    "together; repair the file",
                    of->name, schemes[i]);
  *value = adds ? (prepend_scheme)i : PREPEND_NEVER;
  return ESP_OK;
}

static esp_status read(const json_place *of, pre_tokenizer *self) {
  ESP_TRY(field_character(of, "replacement", &self->replacement));
  ESP_TRY(field_flag(of, "split", true, &self->splits));
  return read_prepend_scheme(of, &self->prepend);
}

static bool begins_with(span text, span front) {
  return text.count >= front.count && memcmp(text.bytes, front.bytes, (size_t)front.count) == 0;
}

/* Write a piece anew: spaces replaced, one more in front where the scheme wants it. */
static void write_piece(const pre_tokenizer *self, span sign, span from, bool is_first,
                        buffer *to) {
  const bool may = self->prepend == PREPEND_ALWAYS || (self->prepend == PREPEND_FIRST && is_first);
  if (may && from.bytes[0] != ' ' && !begins_with(from, sign)) buffer_add(to, sign);
  for (int64_t i = 0; i < from.count;) {
    const char *space = memchr(from.bytes + i, ' ', (size_t)(from.count - i));
    const int64_t end = space ? space - from.bytes : from.count;
    buffer_add(to, (span){from.bytes + i, end - i});
    if (space) buffer_add(to, sign);
    i = end + 1;
  }
}

static void replace(const pre_tokenizer *self, span sign, pieces *text) {
  buffer to = {0};
  for (int64_t i = 0; i < text->count; i++) {
    piece *item = &text->items[i];
    const int64_t begin = to.count;
    if (item->token < 0) write_piece(self, sign, pieces_get(text, i), item->is_first, &to);
    item->begin = begin;
    item->count = to.count - begin;
  }
  buffer_clear(&text->bytes);
  text->bytes = to;
}

static esp_status apply(const pre_tokenizer *self, pieces *text) {
  buffer sign = {0};
  buffer_add_char(&sign, self->replacement);
  replace(self, buffer_span(&sign), text);
  buffer_clear(&sign);
  const splitter by = {.character = self->replacement, .behaviour = SPLIT_MERGED_WITH_NEXT};
  return self->splits ? pieces_split(text, &by) : ESP_OK;
}

const pre_tokenizer_kind pre_tokenizer_metaspace = {"Metaspace", read, apply};
