/* Merges of BPE: which two tokens become one, and in which order; and the work of merging a word.
 */
#ifndef ESPALIER_SRC_TEXT_MERGES_H
#define ESPALIER_SRC_TEXT_MERGES_H

#include "models.h"

typedef struct merge {
  uint64_t pair;      // left << 32 | right, + 1; 0: free
  int32_t rank, made; // place in the file; the token that they become
} merge;

struct merges {
  merge *items;    // (n_items), owned: open addressing
  uint64_t *seams; // (n_seams), owned: bits of a filter of pairs of characters that a merge joins
  int64_t n_items, n_seams;
};

/* Read "merges" of a model that has its vocabulary. */
esp_status merges_read(const json_place *of, model *self);
/* The merge of two tokens, NULL: none. */
const merge *merges_find(const merges *self, int32_t left, int32_t right);
/* Whether some merge may join a token that ends with character a and one that begins with b: where
 * not, a word can be cut. */
bool merges_may_join(const merges *self, uint32_t a, uint32_t b);

/* Bytes of the front of a word that no merge of a BPE joins to its rest; all, if there is no such
 * place (model_bpe.c). */
int64_t bpe_count_front(const model *self, span word);

/* A token of a word in work; they are a list, in which those that were merged are left out. */
typedef struct symbol {
  int32_t id, previous, next; // places; -1: none
  bool is_merged;             // into the one before
} symbol;

/* A merge that may be done. */
typedef struct proposal {
  int32_t rank, place, made;
} proposal;

struct merge_work {
  symbol *symbols;     // (symbol_room), owned
  proposal *proposals; // (proposal_room), owned: a heap, the lowest rank, then place, on top
  int64_t n_symbols, symbol_room, n_proposals, proposal_room;
};

void merge_work_add(merge_work *self, int32_t id);
/* Merge all symbols and add the ids that are left. */
void merge_work_run(merge_work *self, const merges *of, esp_token_ids *ids);

#endif
