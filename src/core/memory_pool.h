/* Big blocks, mapped one by one. What is freed waits for the next that asks, since new pages are
 * slow (a fault and a cleared page for each 4 KiB); but live and waiting blocks together are never
 * more than live ones once were, so that no peak rises. */
#ifndef ESPALIER_SRC_CORE_MEMORY_POOL_H
#define ESPALIER_SRC_CORE_MEMORY_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether there is a pool: Linux, without sanitizers, which would see less. Local. */
bool esp_pool_exists(void);
/* Whole pages, resident, freed with esp_pool_give; NULL: no memory. Those that are not to be zeroed
 * hold what they held. Local. */
void *esp_pool_take(size_t bytes, bool is_zeroed);
void esp_pool_give(void *memory, size_t bytes);
/* Give back what waits, and count the most from now on. Local. */
void esp_pool_flush(void);
/* Bytes that wait. Local. */
size_t esp_pool_count_waiting(void);

#endif
