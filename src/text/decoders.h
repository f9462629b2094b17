/* Decoders: tokens back to text. Each kind is a row of the table in decoders.c. They work on
 * pieces, one a token. */
#ifndef ESPALIER_SRC_TEXT_DECODERS_H
#define ESPALIER_SRC_TEXT_DECODERS_H

#include "json_fields.h"
#include "pieces.h"
#include "pre_tokenizers.h"

typedef struct decoder decoder;

typedef struct decoder_kind {
  const char *name;
  /* Read the fields of its own; NULL: it has none. */
  esp_status (*read)(const json_place *of, decoder *self);
  /* Add what becomes of from's pieces to to; both are valid UTF-8. */
  esp_status (*apply)(const decoder *self, const pieces *from, pieces *to);
} decoder_kind;

struct decoder {
  const decoder_kind *kind;
  decoder *steps; // (n_steps), owned: Sequence
  int n_steps, depth;
  pattern *pattern;       // owned: Replace
  buffer content;         // Replace; WordPiece's prefix; BPEDecoder's suffix
  uint32_t character;     // Metaspace, Strip
  int64_t start, stop;    // Strip: so many at most
  prepend_scheme prepend; // Metaspace
  bool cleans;            // WordPiece
};

esp_status decoder_read(const json_place *of, int depth, decoder *self);
esp_status decoder_apply(const decoder *self, pieces *text);
void decoder_clear(decoder *self);

/* Add a piece of text, which may be empty. */
void decoder_add(pieces *to, span text);

extern const decoder_kind decoder_byte_level, decoder_metaspace, decoder_byte_fallback,
    decoder_wordpiece, decoder_bpe, decoder_fuse, decoder_strip, decoder_replace;

#endif
