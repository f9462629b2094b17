/* Pre-tokenizers: how normalised text is cut into words. Each kind is a row of the table in
 * pre_tokenizers.c. */
#ifndef ESPALIER_SRC_TEXT_PRE_TOKENIZERS_H
#define ESPALIER_SRC_TEXT_PRE_TOKENIZERS_H

#include "json_fields.h"
#include "pieces.h"

typedef struct pre_tokenizer pre_tokenizer;

typedef struct pre_tokenizer_kind {
  const char *name;
  /* Read the fields of its own; NULL: it has none. */
  esp_status (*read)(const json_place *of, pre_tokenizer *self);
  esp_status (*apply)(const pre_tokenizer *self, pieces *text);
} pre_tokenizer_kind;

typedef enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } prepend_scheme;

struct pre_tokenizer {
  const pre_tokenizer_kind *kind;
  pre_tokenizer *steps; // (n_steps), owned: Sequence
  int n_steps, depth;
  splitter by;            // Split, Punctuation, Digits, CharDelimiterSplit; its pattern is owned
  bool adds_space;        // ByteLevel
  uint32_t replacement;   // Metaspace
  prepend_scheme prepend; // Metaspace
  bool splits;            // Metaspace
};

esp_status pre_tokenizer_read(const json_place *of, int depth, pre_tokenizer *self);
esp_status pre_tokenizer_apply(const pre_tokenizer *self, pieces *text);
void pre_tokenizer_clear(pre_tokenizer *self);

/* A prepend scheme of Metaspace, which its decoder has too: legacy add_prefix_space or
 * prepend_scheme. */
esp_status read_prepend_scheme(const json_place *of, prepend_scheme *value);

extern const pre_tokenizer_kind pre_tokenizer_byte_level, pre_tokenizer_metaspace,
    pre_tokenizer_split, pre_tokenizer_punctuation, pre_tokenizer_digits, pre_tokenizer_delimiter,
    pre_tokenizer_whitespace, pre_tokenizer_whitespace_split, pre_tokenizer_bert;

#endif
