/* Text to token ids and back, as a Hugging Face tokenizer.json says it: the ids of the library
 * `tokenizers`, for the kinds that docs/data.md lists. What a file asks for and is not known here
 * is refused by name. Knows neither MPI nor models. */
#ifndef ESPALIER_TEXT_TOKENIZER_H
#define ESPALIER_TEXT_TOKENIZER_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <stdbool.h>
#include <stdint.h>

ESP_C_BEGIN

typedef struct esp_tokenizer esp_tokenizer;

/* Ids that grow; zero-initialised, the caller's. */
typedef struct esp_token_ids {
  int32_t *id; // (room), owned
  int64_t count, room;
} esp_token_ids;
void esp_token_ids_add(esp_token_ids *self, int32_t id);
/* Free; a second call does nothing. Local. */
void esp_token_ids_clear(esp_token_ids *self);

/* Make a tokenizer of the text of tokenizer.json; name is that of the file, for messages. Its
 * "truncation" and "padding" are not read: the caller decides how long a row is. FORMAT: not JSON,
 * a kind that is not known, fields missing or of a wrong type, ids out of range or given twice,
 * merges of tokens that are not there, patterns that cannot be compiled. Local. */
esp_status esp_tokenizer_new(const char *json, int64_t bytes, const char *name,
                             esp_tokenizer **tokenizer);
/* Free; NULL inside is fine. Local. */
void esp_tokenizer_free(esp_tokenizer **tokenizer);

/* Add the ids of a text behind those in ids. Bytes that are no UTF-8 are read as U+FFFD, one for
 * each longest part of a character; a zero byte is a character. with_special: with the special
 * tokens of the post-processor, as for one text alone. The tokenizer remembers words: one thread at
 * a time. FORMAT: an unknown character where the file has no unknown token, a pattern that takes
 * too long. Local. */
esp_status esp_tokenizer_encode(esp_tokenizer *self, const char *text, int64_t bytes,
                                bool with_special, esp_token_ids *ids);
/* Count the special tokens that the post-processor adds to a text; put them around the ids from
 * first on. Local. */
int64_t esp_tokenizer_count_special(const esp_tokenizer *self);
void esp_tokenizer_add_special(const esp_tokenizer *self, int64_t first, esp_token_ids *ids);
/* Make text of ids, with a 0 byte behind it, owned by the caller; ids that no token has are left
 * out, and so are special tokens unless with_special. Local. */
esp_status esp_tokenizer_decode(esp_tokenizer *self, const int32_t *ids, int64_t count,
                                bool with_special, char **text, int64_t *bytes);

/* Count ids: the largest + 1. Find a token's id by its whole content, -1: none. Local. */
int32_t esp_tokenizer_count_ids(const esp_tokenizer *self);
int32_t esp_tokenizer_find(const esp_tokenizer *self, const char *content);
/* Name of the model's kind, "BPE"; static. Local. */
const char *esp_tokenizer_get_model(const esp_tokenizer *self);
/* Hash of the file. Local. */
uint64_t esp_tokenizer_get_fingerprint(const esp_tokenizer *self);

/* Words and bytes of a text, for figures that do not depend on a tokenizer: words are runs of
 * characters that are not white space; bytes are those after replacing what is no UTF-8. Local. */
typedef struct esp_text_size {
  int64_t words, bytes;
} esp_text_size;
esp_text_size esp_text_measure(const char *text, int64_t bytes);

ESP_C_END

#endif
