/* Samples that two data sets share, by the hash of what a model reads of each. */
#include "espalier/core/hash.h"
#include "espalier/core/memory.h"
#include "espalier/io/dataset.h"

#include <stdlib.h>

/* Padding is not read, and so does not count. */
static uint64_t hash_sample(const esp_dataset *self, int64_t sample) {
  const int64_t begin = sample * self->width;
  if (self->kind == ESP_DATA_IMAGES) return esp_hash(0, self->pixels + begin, (size_t)self->width);
  const int64_t n = self->lengths ? self->lengths[sample] : self->width;
  const size_t bytes = (size_t)n * sizeof *self->tokens;
  const uint64_t hash = esp_hash(0, self->tokens + begin, bytes);
  return self->types ? esp_hash(hash, self->types + begin, bytes) : hash;
}

static int compare(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

int64_t esp_dataset_count_shared_local(const esp_dataset *self, const esp_dataset *other) {
  int64_t n = 0;
  if (self->kind != other->kind || self->is_made || other->is_made) return 0;
  uint64_t *known = ESP_NEW(uint64_t, other->count);
  for (int64_t i = 0; i < other->count; i++) known[i] = hash_sample(other, i);
  qsort(known, (size_t)other->count, sizeof *known, compare);
  for (int64_t i = 0; i < self->count; i++) {
    const uint64_t hash = hash_sample(self, i);
    n += bsearch(&hash, known, (size_t)other->count, sizeof *known, compare) != NULL;
  }
  esp_free(&known);
  return n;
}
