/* Memory. A failed allocation ends the job through the panic hook with the size in the message, so
 * that callers have no out-of-memory branch to get out of step in. Sizes that come from files are
 * checked against the file before anything is allocated. */
#ifndef ESPALIER_CORE_MEMORY_H
#define ESPALIER_CORE_MEMORY_H

#include "espalier/core/c_linkage.h"

#include <stddef.h>
#include <stdint.h>

ESP_C_BEGIN

/* Allocate count x size bytes, 64-byte aligned, zeroed. Never NULL; count 0 gives a valid pointer.
 * Owned by the caller, freed with esp_free. Local. */
void *esp_alloc(int64_t count, size_t size);
/* The same with whatever stands there, for what is filled whole and at once. Local. */
void *esp_alloc_unset(int64_t count, size_t size);

/* Free and set NULL; NULL inside is fine: esp_free(&pointer). Local. */
#define esp_free(pointer_address) (esp_release(*(pointer_address)), *(pointer_address) = NULL)
void esp_release(void *memory);

/* Give freed memory back to the system: otherwise the heap keeps up to 64 MiB, and blocks of 1 MiB
 * or more wait for the next, never more bytes than were in use at once since the last call. Local.
 */
void esp_release_unused(void);

#define ESP_NEW(type, count) ((type *)esp_alloc((count), sizeof(type)))
#define ESP_NEW_UNSET(type, count) ((type *)esp_alloc_unset((count), sizeof(type)))

/* Duplicate a string; owned by the caller. printf into a new string; likewise. Local. */
char *esp_strdup(const char *text);
char *esp_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Narrow to int (MPI, BLAS, ScaLAPACK counts); panics when it does not fit. Local. */
int esp_int(int64_t value);

/* Count bytes: peak resident set, and peak of its anonymous part as sampled by earlier calls and
 * after every esp_alloc of 1 MiB or more. 0 where the system does not tell. Local. */
int64_t esp_peak_rss_bytes(void);
int64_t esp_peak_anonymous_bytes(void);
/* The same since the last call of this function: what a phase needed. Local. */
int64_t esp_take_peak_anonymous_bytes(void);

ESP_C_END

#endif
