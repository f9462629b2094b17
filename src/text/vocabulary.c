#include "vocabulary.h"

#include "espalier/core/hash.h"
#include "espalier/core/memory.h"
#include "espalier/core/status.h"

void vocabulary_init(vocabulary *self, int32_t count, int32_t n_ids) {
  *self = (vocabulary){.room = count, .n_slots = 16, .n_ids = n_ids};
  while (self->n_slots / 2 < count) self->n_slots *= 2;
  self->entries = ESP_NEW(entry, count);
  self->slots = ESP_NEW(int32_t, self->n_slots);
  self->by_id = ESP_NEW(int32_t, n_ids);
}

static span get_token(const vocabulary *self, int32_t i) {
  const entry *of = &self->entries[i];
  return buffer_part(&self->bytes, of->begin, of->count);
}

/* The token's slot, or the free one where it belongs. */
static int32_t find_slot(const vocabulary *self, span token) {
  const uint64_t mask = (uint64_t)self->n_slots - 1;
  uint64_t at = esp_hash(0, token.bytes, (size_t)token.count) & mask;
  while (self->slots[at] > 0 && !span_equals(get_token(self, self->slots[at] - 1), token))
    at = (at + 1) & mask;
  return (int32_t)at;
}

void vocabulary_put(vocabulary *self, span token, int32_t id) {
  const int32_t slot = find_slot(self, token);
  if (self->slots[slot] == 0) {
    ESP_ASSERT(self->count < self->room && id >= 0 && id < self->n_ids);
    self->entries[self->count] = (entry){self->bytes.count, (int32_t)token.count, id};
    buffer_add(&self->bytes, token);
    self->slots[slot] = ++self->count;
  }
  self->entries[self->slots[slot] - 1].id = id;
  self->by_id[id] = self->slots[slot];
}

int32_t vocabulary_find(const vocabulary *self, span token) {
  if (self->count == 0) return -1;
  const int32_t found = self->slots[find_slot(self, token)];
  return found > 0 ? self->entries[found - 1].id : -1;
}

bool vocabulary_get(const vocabulary *self, int32_t id, span *token) {
  if (id < 0 || id >= self->n_ids || self->by_id[id] == 0) return false;
  *token = get_token(self, self->by_id[id] - 1);
  return true;
}

void vocabulary_clear(vocabulary *self) {
  buffer_clear(&self->bytes);
  esp_free(&self->entries);
  esp_free(&self->slots);
  esp_free(&self->by_id);
  *self = (vocabulary){0};
}
