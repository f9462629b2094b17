#include "espalier/core/hash.h"

#include <string.h>
#include <xxhash.h>

uint64_t esp_hash(uint64_t chain, const void *data, size_t bytes) {
  return XXH3_64bits_withSeed(data, bytes, chain);
}

uint64_t esp_hash_text(uint64_t chain, const char *text) {
  return esp_hash(chain, text, strlen(text));
}
