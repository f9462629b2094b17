/* Kinds that cut at a pattern, or at a class of characters. */
#include "pre_tokenizers.h"
#include "unicode.h"

#include "espalier/core/named.h"

static const char *const behaviours[] = {"Removed",        "Isolated",   "MergedWithPrevious",
                                         "MergedWithNext", "Contiguous", NULL};

static esp_status read_behaviour(const json_place *of, split_behaviour *value) {
  span name = {NULL, 0};
  int i;
  ESP_TRY(field_text_or_none(of, "behavior", &name));
  if (!name.bytes) return ESP_OK;
  if (esp_find_row("behavior", name.bytes, behaviours, sizeof *behaviours, &i) != ESP_OK)
    return esp_fail(ESP_FORMAT, "%s: %s", of->name, esp_failure_text());
  *value = (split_behaviour)i;
  return ESP_OK;
}

static esp_status split(const pre_tokenizer *self, pieces *text) {
  return pieces_split(text, &self->by);
}

static esp_status read_split(const json_place *of, pre_tokenizer *self) {
  span source = {NULL, 0};
  bool is_literal;
  ESP_TRY(field_pattern(of, "pattern", &source, &is_literal));
  ESP_TRY(field_text(of, "behavior", &(span){NULL, 0}));
  ESP_TRY(read_behaviour(of, &self->by.behaviour));
  ESP_TRY(field_flag(of, "invert", false, &self->by.is_inverted));
  return pattern_new(of->name, source, is_literal, &self->by.pattern);
}

static esp_status read_punctuation(const json_place *of, pre_tokenizer *self) {
  self->by = (splitter){.is_match = unicode_is_punctuation, .behaviour = SPLIT_ISOLATED};
  return read_behaviour(of, &self->by.behaviour);
}

static esp_status read_digits(const json_place *of, pre_tokenizer *self) {
  bool alone;
  ESP_TRY(field_flag(of, "individual_digits", false, &alone));
  self->by = (splitter){.is_match = unicode_is_numeric,
                        .behaviour = alone ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS};
  return ESP_OK;
}

static esp_status read_delimiter(const json_place *of, pre_tokenizer *self) {
  self->by = (splitter){.behaviour = SPLIT_REMOVED};
  return field_character(of, "delimiter", &self->by.character);
}

/* \w+|[^\w\s]+: runs of word characters, and of others, stay. */
static esp_status split_whitespace(const pre_tokenizer *self, pieces *text) {
  (void)self;
  const splitter spaces = {.is_match = unicode_is_space, .behaviour = SPLIT_REMOVED};
  const splitter words = {.is_match = unicode_is_word, .behaviour = SPLIT_CONTIGUOUS};
  ESP_TRY(pieces_split(text, &spaces));
  return pieces_split(text, &words);
}

static esp_status split_at_spaces(const pre_tokenizer *self, pieces *text) {
  (void)self;
  const splitter spaces = {.is_match = unicode_is_space, .behaviour = SPLIT_REMOVED};
  return pieces_split(text, &spaces);
}

static esp_status split_bert(const pre_tokenizer *self, pieces *text) {
  (void)self;
  const splitter spaces = {.is_match = unicode_is_space, .behaviour = SPLIT_REMOVED};
  const splitter signs = {.is_match = unicode_is_punctuation, .behaviour = SPLIT_ISOLATED};
  ESP_TRY(pieces_split(text, &spaces));
  return pieces_split(text, &signs);
}

const pre_tokenizer_kind pre_tokenizer_split = {"Split", read_split, split};
const pre_tokenizer_kind pre_tokenizer_punctuation = {"Punctuation", read_punctuation, split};
const pre_tokenizer_kind pre_tokenizer_digits = {"Digits", read_digits, split};
const pre_tokenizer_kind pre_tokenizer_delimiter = {"CharDelimiterSplit", read_delimiter, split};
const pre_tokenizer_kind pre_tokenizer_whitespace = {"Whitespace", NULL, split_whitespace};
const pre_tokenizer_kind pre_tokenizer_whitespace_split = {"WhitespaceSplit", NULL,
                                                           split_at_spaces};
const pre_tokenizer_kind pre_tokenizer_bert = {"BertPreTokenizer", NULL, split_bert};
