#include "byte_level.h"
#include "pre_tokenizers.h"

/* That of GPT-2. */
static const char words[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static esp_status read(const json_place *of, pre_tokenizer *self) {
  bool uses_pattern;
  ESP_TRY(field_flag(of, "add_prefix_space", true, &self->adds_space));
  ESP_TRY(field_flag(of, "use_regex", true, &uses_pattern));
  self->by.behaviour = SPLIT_ISOLATED;
  return uses_pattern ? pattern_new(of->name, span_of(words), false, &self->by.pattern) : ESP_OK;
}

static void add_spaces(pieces *text) {
  pieces to = {0};
  for (int64_t i = 0; i < text->count; i++) {
    piece item = text->items[i];
    const span of = pieces_get(text, i);
    const int64_t begin = to.bytes.count;
    if (item.token < 0 && of.bytes[0] != ' ') buffer_add_char(&to.bytes, ' ');
    buffer_add(&to.bytes, of);
    item.begin = begin;
    item.count = to.bytes.count - begin;
    pieces_add(&to, item);
  }
  pieces_replace(text, &to);
  pieces_clear(&to);
}

static void write_bytes(pieces *text) {
  buffer to = {0};
  buffer_reserve(&to, 2 * text->bytes.count);
  for (int64_t i = 0; i < text->count; i++) {
    piece *item = &text->items[i];
    const int64_t begin = to.count;
    if (item->token < 0)
      byte_level_add(&to, pieces_get(text, i));
    else
      buffer_add(&to, pieces_get(text, i));
    item->begin = begin;
    item->count = to.count - begin;
  }
  buffer_clear(&text->bytes);
  text->bytes = to;
}

static esp_status apply(const pre_tokenizer *self, pieces *text) {
  if (self->adds_space) add_spaces(text);
  if (self->by.pattern) ESP_TRY(pieces_split(text, &self->by));
  write_bytes(text);
  return ESP_OK;
}

const pre_tokenizer_kind pre_tokenizer_byte_level = {"ByteLevel", read, apply};
