/* Checksums and fingerprints: XXH3, 64 bits, over little-endian bytes. */
#ifndef ESPALIER_CORE_HASH_H
#define ESPALIER_CORE_HASH_H

#include "espalier/core/c_linkage.h"

#include <stddef.h>
#include <stdint.h>

ESP_C_BEGIN

/* Hash bytes, chained: pass 0 to begin and the last result to go on. Local. */
uint64_t esp_hash(uint64_t chain, const void *data, size_t bytes);
uint64_t esp_hash_text(uint64_t chain, const char *text);

ESP_C_END

#endif
