/* Added tokens: strings that are tokens wherever they stand, before anything else looks at the
 * text. */
#ifndef ESPALIER_SRC_TEXT_ADDED_TOKENS_H
#define ESPALIER_SRC_TEXT_ADDED_TOKENS_H

#include "normalizers.h"
#include "pieces.h"
#include "prefix_tree.h"
#include "vocabulary.h"

typedef struct added_token {
  buffer content, normal; // as in the file; normalised, if it is sought in normalised text
  int32_t id;
  bool is_special, is_normalized, is_word, strips_left, strips_right;
} added_token;

typedef struct added_tokens {
  added_token *items; // (count), owned
  int32_t count, n_ids;
  prefix_tree raw, normalized;                // by content: places in items
  bool raw_first[256], normalized_first[256]; // bytes that some token begins with
  bool has_raw, has_normalized;
} added_tokens;

/* Read "added_tokens"; the vocabulary is the model's, the normalizer may be NULL. FORMAT: an id
 * that is not the one that the token gets, given twice, empty. */
esp_status added_tokens_read(const json_place *of, const vocabulary *known,
                             const normalizer *normal, added_tokens *self);
/* Cut them out of pieces: those of raw text, or those of normalised text. */
void added_tokens_cut(const added_tokens *self, bool is_normalized, pieces *text);
/* The token of an id, or NULL; by content likewise. */
const added_token *added_tokens_get(const added_tokens *self, int32_t id);
const added_token *added_tokens_find(const added_tokens *self, span content);
void added_tokens_clear(added_tokens *self);

#endif
