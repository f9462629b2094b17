#include "espalier/model/workspace.h"

#include "espalier/core/memory.h"
#include "espalier/core/status.h"

enum { ALIGNMENT = 64 };

struct esp_workspace_block {
  esp_workspace_block *next;
  int64_t bytes;
  char *memory; // (bytes) owned
};

/* Above 0, so that what was taken before a mark can be told from what was taken after it. */
static int64_t count_bytes(int64_t count, size_t size) {
  int64_t bytes;
  ESP_ASSERT(count >= 0 && !__builtin_mul_overflow(count, (int64_t)size, &bytes));
  return bytes / ALIGNMENT * ALIGNMENT + ALIGNMENT;
}

static esp_workspace_block *new_block(int64_t bytes) {
  esp_workspace_block *block = ESP_NEW(esp_workspace_block, 1);
  block->bytes = bytes;
  block->memory = ESP_NEW(char, bytes);
  return block;
}

static void free_blocks(esp_workspace_block **from) {
  while (*from) {
    esp_workspace_block *block = *from;
    *from = block->next;
    esp_free(&block->memory);
    esp_free(&block);
  }
}

/* Once calls have differed, one block for the most serves them all. */
static void merge(esp_workspace *self) {
  free_blocks(&self->first);
  self->first = new_block(self->most);
  self->is_uneven = false;
}

/* Go on in the next block; those behind it are not in use, and go where they are too small. */
static void go_on(esp_workspace *self, int64_t bytes) {
  esp_workspace_block **next = self->current ? &self->current->next : &self->first;
  if (*next && (*next)->bytes < bytes) {
    free_blocks(next);
    self->is_uneven = true;
  }
  if (!*next) *next = new_block(bytes);
  self->current = *next;
  self->used = 0;
}

void *esp_workspace_take(esp_workspace *self, int64_t count, size_t size) {
  const int64_t bytes = count_bytes(count, size);
  if (self->taken == 0 && self->is_uneven) merge(self);
  if (!self->current || self->used + bytes > self->current->bytes) go_on(self, bytes);
  char *const memory = self->current->memory + self->used;
  self->used += bytes;
  self->taken += bytes;
  if (self->taken > self->most) self->most = self->taken;
  return memory;
}

esp_workspace_mark esp_workspace_set_mark(const esp_workspace *self) {
  return (esp_workspace_mark){self->current, self->used, self->taken};
}

void esp_workspace_release(esp_workspace *self, esp_workspace_mark mark) {
  self->current = mark.block;
  self->used = mark.used;
  self->taken = mark.taken;
}

void esp_workspace_clear(esp_workspace *self) {
  ESP_ASSERT(self->taken == 0);
  free_blocks(&self->first);
  *self = (esp_workspace){0};
}
