/* Strings by their bytes from the front: which of them does a text begin with. */
#ifndef ESPALIER_SRC_TEXT_PREFIX_TREE_H
#define ESPALIER_SRC_TEXT_PREFIX_TREE_H

#include "buffer.h"

typedef struct edge {
  uint64_t key; // node and byte, + 1; 0: free
  int32_t child;
} edge;

typedef struct prefix_tree {
  edge *edges;     // (n_edges), owned: open addressing
  int32_t *values; // (room), owned: of a node's string, -1: none ends here
  int64_t n_edges;
  int32_t count, room;
} prefix_tree;

enum { PREFIX_ROOT = 0, PREFIX_NONE = -1 };

void prefix_tree_init(prefix_tree *self);
/* The value is not negative; that of an equal string is replaced. */
void prefix_tree_add(prefix_tree *self, span text, int32_t value);
/* The node behind a byte, or PREFIX_NONE. */
int32_t prefix_tree_step(const prefix_tree *self, int32_t node, unsigned char byte);
/* The longest string that text begins with: its value, or -1; *count is its length. */
int32_t prefix_tree_find(const prefix_tree *self, span text, int64_t *count);
void prefix_tree_clear(prefix_tree *self);

#endif
