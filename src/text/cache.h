/* Ids of words that were seen before. It takes words until it is full. */
#ifndef ESPALIER_SRC_TEXT_CACHE_H
#define ESPALIER_SRC_TEXT_CACHE_H

#include "buffer.h"

#include "espalier/text/tokenizer.h"

enum { MOST_CACHED_BYTES = 256 }; // of a word

typedef struct cached {
  int64_t word, ids; // places in words and ids
  uint32_t hash;
  int32_t bytes, count; // bytes 0: free
} cached;

typedef struct cache {
  cached *items; // (room), owned: open addressing
  int64_t room, count;
  buffer words;
  esp_token_ids ids;
} cache;

/* Add a word's ids to those in ids; false: it is not here. */
bool cache_get(const cache *self, span word, uint64_t hash, esp_token_ids *ids);
/* Take a word that is not here, with the ids from first on. */
void cache_put(cache *self, span word, uint64_t hash, const esp_token_ids *ids, int64_t first);
void cache_clear(cache *self);

#endif
