#include "merges.h"

#include "espalier/core/memory.h"

static void *grow(void *old, int64_t count, int64_t *room, size_t size) {
  *room = *room > 0 ? 2 * *room : 256;
  char *grown = esp_alloc(*room, size);
  if (count > 0) memcpy(grown, old, (size_t)count * size);
  esp_release(old);
  return grown;
}

void merge_work_free(merge_work **pointer) {
  merge_work *self = *pointer;
  if (!self) return;
  esp_free(&self->symbols);
  esp_free(&self->proposals);
  esp_free(pointer);
}

void merge_work_add(merge_work *self, int32_t id) {
  if (self->n_symbols == self->symbol_room)
    self->symbols = grow(self->symbols, self->n_symbols, &self->symbol_room, sizeof(symbol));
  const int32_t place = (int32_t)self->n_symbols++;
  self->symbols[place] = (symbol){id, place - 1, -1, false};
  if (place > 0) self->symbols[place - 1].next = place;
}

static bool is_before(const proposal *a, const proposal *b) {
  return a->rank < b->rank || (a->rank == b->rank && a->place < b->place);
}

static void push(merge_work *self, proposal item) {
  if (self->n_proposals == self->proposal_room)
    self->proposals =
        grow(self->proposals, self->n_proposals, &self->proposal_room, sizeof(proposal));
  int64_t at = self->n_proposals++;
  for (; at > 0 && is_before(&item, &self->proposals[(at - 1) / 2]); at = (at - 1) / 2)
    self->proposals[at] = self->proposals[(at - 1) / 2];
  self->proposals[at] = item;
}

static proposal pop(merge_work *self) {
  const proposal top = self->proposals[0], last = self->proposals[--self->n_proposals];
  int64_t at = 0;
  for (;;) {
    int64_t child = 2 * at + 1;
    if (child >= self->n_proposals) break;
    if (child + 1 < self->n_proposals &&
        is_before(&self->proposals[child + 1], &self->proposals[child]))
      child++;
    if (!is_before(&self->proposals[child], &last)) break;
    self->proposals[at] = self->proposals[child];
    at = child;
  }
  self->proposals[at] = last;
  return top;
}

/* Propose the merge of a symbol with the next one, if there is any. */
static void propose(merge_work *self, const merges *of, int32_t place) {
  const symbol *left = &self->symbols[place];
  if (left->next < 0) return;
  const merge *found = merges_find(of, left->id, self->symbols[left->next].id);
  if (found) push(self, (proposal){found->rank, place, found->made});
}

/* What was proposed may have gone: its pair must still give the same token. */
static bool is_valid(const merge_work *self, const merges *of, proposal item) {
  const symbol *left = &self->symbols[item.place];
  if (left->is_merged || left->next < 0) return false;
  const merge *found = merges_find(of, left->id, self->symbols[left->next].id);
  return found && found->made == item.made;
}

static void apply(merge_work *self, const merges *of, proposal item) {
  symbol *left = &self->symbols[item.place], *right = &self->symbols[left->next];
  left->id = item.made;
  left->next = right->next;
  right->is_merged = true;
  if (left->next >= 0) self->symbols[left->next].previous = item.place;
  if (left->previous >= 0) propose(self, of, left->previous);
  propose(self, of, item.place);
}

void merge_work_run(merge_work *self, const merges *of, esp_token_ids *ids) {
  for (int64_t i = 0; i + 1 < self->n_symbols; i++) propose(self, of, (int32_t)i);
  while (self->n_proposals > 0) {
    const proposal item = pop(self);
    if (is_valid(self, of, item)) apply(self, of, item);
  }
  for (int64_t i = 0; i < self->n_symbols; i++)
    if (!self->symbols[i].is_merged) esp_token_ids_add(ids, self->symbols[i].id);
  self->n_symbols = 0;
}
