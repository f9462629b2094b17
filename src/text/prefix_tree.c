#include "prefix_tree.h"

#include "espalier/core/memory.h"

enum { FIRST_EDGES = 1024 };

void prefix_tree_init(prefix_tree *self) {
  *self = (prefix_tree){.n_edges = FIRST_EDGES, .room = FIRST_EDGES, .count = 1};
  self->edges = ESP_NEW(edge, self->n_edges);
  self->values = ESP_NEW(int32_t, self->room);
  self->values[PREFIX_ROOT] = -1;
}

static uint64_t make_key(int32_t node, unsigned char byte) {
  return ((uint64_t)node << 8 | byte) + 1;
}

/* The edge, or the free place where it belongs. */
static edge *find_edge(const prefix_tree *self, uint64_t key) {
  const uint64_t mask = (uint64_t)self->n_edges - 1;
  uint64_t at = key * 0x9E3779B97F4A7C15u >> 20 & mask;
  while (self->edges[at].key != 0 && self->edges[at].key != key) at = (at + 1) & mask;
  return &self->edges[at];
}

static void grow_edges(prefix_tree *self) {
  edge *old = self->edges;
  const int64_t n = self->n_edges;
  self->n_edges *= 2;
  self->edges = ESP_NEW(edge, self->n_edges);
  for (int64_t i = 0; i < n; i++)
    if (old[i].key != 0) *find_edge(self, old[i].key) = old[i];
  esp_free(&old);
}

static int32_t add_node(prefix_tree *self) {
  if (self->count == self->room) {
    int32_t *values = ESP_NEW(int32_t, 2 * (int64_t)self->room);
    memcpy(values, self->values, (size_t)self->count * sizeof *values);
    esp_free(&self->values);
    self->values = values;
    self->room *= 2;
  }
  self->values[self->count] = -1;
  return self->count++;
}

void prefix_tree_add(prefix_tree *self, span text, int32_t value) {
  int32_t node = PREFIX_ROOT;
  for (int64_t i = 0; i < text.count; i++) {
    if (2 * (int64_t)self->count > self->n_edges) grow_edges(self);
    const uint64_t key = make_key(node, (unsigned char)text.bytes[i]);
    edge *of = find_edge(self, key);
    if (of->key == 0) *of = (edge){key, add_node(self)};
    node = of->child;
  }
  self->values[node] = value;
}

int32_t prefix_tree_step(const prefix_tree *self, int32_t node, unsigned char byte) {
  const edge *of = find_edge(self, make_key(node, byte));
  return of->key == 0 ? PREFIX_NONE : of->child;
}

int32_t prefix_tree_find(const prefix_tree *self, span text, int64_t *count) {
  int32_t node = PREFIX_ROOT, found = -1;
  for (int64_t i = 0; i < text.count; i++) {
    node = prefix_tree_step(self, node, (unsigned char)text.bytes[i]);
    if (node == PREFIX_NONE) break;
    if (self->values[node] < 0) continue;
    found = self->values[node];
    *count = i + 1;
  }
  return found;
}

void prefix_tree_clear(prefix_tree *self) {
  esp_free(&self->edges);
  esp_free(&self->values);
  *self = (prefix_tree){0};
}
