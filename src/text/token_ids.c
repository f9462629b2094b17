#include "espalier/core/memory.h"
#include "espalier/text/tokenizer.h"

#include <string.h>

static void grow(esp_token_ids *self) {
  const int64_t room = self->room > 0 ? 2 * self->room : 64;
  int32_t *id = ESP_NEW(int32_t, room);
  if (self->count > 0) memcpy(id, self->id, (size_t)self->count * sizeof *id);
  esp_free(&self->id);
  self->id = id;
  self->room = room;
}

void esp_token_ids_add(esp_token_ids *self, int32_t id) {
  if (self->count == self->room) grow(self);
  self->id[self->count++] = id;
}

void esp_token_ids_clear(esp_token_ids *self) {
  esp_free(&self->id);
  *self = (esp_token_ids){0};
}
