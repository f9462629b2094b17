/* Tokens and their ids: both ways. */
#ifndef ESPALIER_SRC_TEXT_VOCABULARY_H
#define ESPALIER_SRC_TEXT_VOCABULARY_H

#include "buffer.h"

typedef struct entry {
  int64_t begin; // in bytes
  int32_t count, id;
} entry;

typedef struct vocabulary {
  buffer bytes;
  entry *entries; // (room), owned
  int32_t *slots; // (n_slots), owned: of entries, + 1; 0: free
  int32_t *by_id; // (n_ids), owned: of entries, + 1; 0: no token
  int32_t count, room, n_slots, n_ids;
} vocabulary;

/* Make room for count tokens with ids below n_ids. */
void vocabulary_init(vocabulary *self, int32_t count, int32_t n_ids);
/* Add a token, at most as many as there is room; what the id's token was is replaced. A token that
 * is there gets the new id. */
void vocabulary_put(vocabulary *self, span token, int32_t id);
/* An id, -1: no such token. */
int32_t vocabulary_find(const vocabulary *self, span token);
/* The token of an id; false: it has none. */
bool vocabulary_get(const vocabulary *self, int32_t id, span *token);
void vocabulary_clear(vocabulary *self);

#endif
