/* A text in work: pieces of one buffer, in order. Stages split them or write their bytes anew. */
#ifndef ESPALIER_SRC_TEXT_PIECES_H
#define ESPALIER_SRC_TEXT_PIECES_H

#include "pattern.h"

typedef struct piece {
  int64_t begin, count; // in bytes
  int32_t token;        // of an added token, which stays as it is; -1: none
  bool is_first;        // it begins where the whole text does
} piece;

typedef struct pieces {
  buffer bytes;
  piece *items; // (room), owned
  int64_t count, room;
} pieces;

static inline span pieces_get(const pieces *self, int64_t i) {
  return buffer_part(&self->bytes, self->items[i].begin, self->items[i].count);
}
/* Add a piece of the buffer; one without bytes and token is left out. */
void pieces_add(pieces *self, piece item);
void pieces_clear(pieces *self);
/* Take what other has made in place of the own; other gets the own, for use again, emptied. */
void pieces_replace(pieces *self, pieces *other);

/* What becomes of the places where a splitter matches. */
typedef enum split_behaviour {
  SPLIT_REMOVED,
  SPLIT_ISOLATED,
  SPLIT_MERGED_WITH_PREVIOUS,
  SPLIT_MERGED_WITH_NEXT,
  SPLIT_CONTIGUOUS
} split_behaviour;

typedef struct splitter {
  pattern *pattern;             // or, NULL:
  bool (*is_match)(uint32_t c); // every such character is a match; NULL:
  uint32_t character;           // every such one
  bool is_inverted;             // what does not match is what matches
  split_behaviour behaviour;
} splitter;
/* Split all pieces that are no tokens. */
esp_status pieces_split(pieces *self, const splitter *by);

#endif
