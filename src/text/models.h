/* Models: words to ids. Each kind is a file and a row of the table in models.c. */
#ifndef ESPALIER_SRC_TEXT_MODELS_H
#define ESPALIER_SRC_TEXT_MODELS_H

#include "json_fields.h"
#include "prefix_tree.h"
#include "vocabulary.h"

#include "espalier/text/tokenizer.h"

typedef struct model model;
typedef struct merges merges;
typedef struct merge_work merge_work;

typedef struct model_kind {
  const char *name;
  esp_status (*read)(const json_place *of, model *self);
  /* Add the ids of a word, valid UTF-8 and not empty. */
  esp_status (*encode)(model *self, span word, esp_token_ids *ids);
} model_kind;

struct model {
  const model_kind *kind;
  char *name; // of the file, owned
  vocabulary vocabulary;
  buffer unknown;                     // content of the unknown token
  bool has_unknown;                   // the file names one
  int32_t unknown_id;                 // -1: it is not in the vocabulary, or there is none
  bool falls_to_bytes;                // byte_fallback
  int32_t byte_ids[256];              // of <0xXX>; -1: no such
  bool fuses_unknown, ignores_merges; // BPE
  buffer prefix, suffix;              // continuing_subword_prefix; end_of_word_suffix
  merges *merges;                     // owned: BPE
  merge_work *work;                   // owned: BPE
  prefix_tree tree;                   // Unigram: all tokens; WordPiece: those that begin a word
  prefix_tree inner;                  // WordPiece: the others, without their prefix
  double *scores, lowest;             // (vocabulary.n_ids), owned: Unigram
  int64_t most_characters;            // WordPiece
};

esp_status model_read(const json_place *of, model *self);
void model_clear(model *self);

/* Of all kinds: an object of tokens and ids; the unknown token; the ids of bytes. */
enum { MOST_TOKEN_BYTES = 4096 };
esp_status model_read_vocabulary(const json_place *of, model *self);
esp_status model_check_token(const json_place *of, span token);
void model_find_bytes(model *self);
/* FORMAT: a word cannot be encoded without an unknown token. */
esp_status model_fail_unknown(const model *self, span word);

extern const model_kind model_bpe, model_wordpiece, model_unigram;
void merges_free(merges **self);
void merge_work_free(merge_work **self);

#endif
