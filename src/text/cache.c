#include "cache.h"

#include "espalier/core/memory.h"

enum { FIRST_ROOM = 1 << 12, MOST_ITEMS = 1 << 18 };

static cached *find(const cache *self, span word, uint64_t hash) {
  const uint64_t mask = (uint64_t)self->room - 1;
  for (uint64_t at = hash & mask;; at = (at + 1) & mask) {
    cached *item = &self->items[at];
    if (item->bytes == 0) return item;
    if (item->hash == (uint32_t)(hash >> 32) &&
        span_equals((span){self->words.bytes + item->word, item->bytes}, word))
      return item;
  }
}

bool cache_get(const cache *self, span word, uint64_t hash, esp_token_ids *ids) {
  if (self->count == 0) return false;
  const cached *item = find(self, word, hash);
  if (item->bytes == 0) return false;
  for (int32_t i = 0; i < item->count; i++) esp_token_ids_add(ids, self->ids.id[item->ids + i]);
  return true;
}

/* Places are found anew by the whole hash, which only its upper half is kept of: so room is made by
 * forgetting all. */
static void grow(cache *self) {
  const int64_t room = self->room > 0 ? 8 * self->room : FIRST_ROOM;
  cache_clear(self);
  self->room = room;
  self->items = ESP_NEW(cached, room);
}

void cache_put(cache *self, span word, uint64_t hash, const esp_token_ids *ids, int64_t first) {
  if (word.count > MOST_CACHED_BYTES || self->count >= MOST_ITEMS) return;
  if (2 * self->count >= self->room) grow(self);
  *find(self, word, hash) = (cached){self->words.count, self->ids.count, (uint32_t)(hash >> 32),
                                     (int32_t)word.count, (int32_t)(ids->count - first)};
  buffer_add(&self->words, word);
  for (int64_t i = first; i < ids->count; i++) esp_token_ids_add(&self->ids, ids->id[i]);
  self->count++;
}

void cache_clear(cache *self) {
  esp_free(&self->items);
  buffer_clear(&self->words);
  esp_token_ids_clear(&self->ids);
  *self = (cache){0};
}
