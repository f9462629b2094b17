/* Normalizers: each kind is a file, or a part of one, and a row of the table in normalizers.c. */
#ifndef ESPALIER_SRC_TEXT_NORMALIZERS_H
#define ESPALIER_SRC_TEXT_NORMALIZERS_H

#include "json_fields.h"
#include "pattern.h"

typedef struct normalizer normalizer;
typedef struct charsmap charsmap;

/* Text on its way through normalizers. */
typedef struct normal_text {
  buffer bytes;
  bool is_cut; // the first character of the text has gone
} normal_text;

typedef struct normalizer_kind {
  const char *name;
  /* Read the fields of its own; NULL: it has none. */
  esp_status (*read)(const json_place *of, normalizer *self);
  /* Add what becomes of a text, which is valid UTF-8 and not empty; so is what is added. */
  esp_status (*apply)(const normalizer *self, span from, normal_text *to);
} normalizer_kind;

struct normalizer {
  const normalizer_kind *kind;
  normalizer *steps; // (n_steps), owned: Sequence
  int n_steps, depth;
  pattern *pattern;                                   // owned: Replace
  charsmap *map;                                      // owned: Precompiled
  buffer content;                                     // Replace, Prepend
  bool left, right;                                   // Strip
  bool clean, spaces_chinese, strips_accents, lowers; // BertNormalizer
};

esp_status normalizer_read(const json_place *of, int depth, normalizer *self);
/* From the whole of from to to, whose bytes are emptied first. */
esp_status normalizer_apply(const normalizer *self, span from, normal_text *to);
void normalizer_clear(normalizer *self);

extern const normalizer_kind normalizer_bert, normalizer_precompiled, normalizer_replace,
    normalizer_prepend, normalizer_strip, normalizer_strip_accents, normalizer_lowercase,
    normalizer_nfc, normalizer_nfd, normalizer_nfkc, normalizer_nfkd, normalizer_nmt,
    normalizer_byte_level;

void charsmap_free(charsmap **self);

/* A character of a text to another text; keep tells those that stay. */
void normalizer_keep(span from, bool (*keep)(uint32_t c), normal_text *to);

#endif
