/* Making JSON that cannot fail: the calls of jansson that return NULL on text that is not UTF-8 and
 * on numbers that JSON does not have are made here, so that no row of a result is dropped.
 *
 * Paths and arguments are bytes. A byte that is not part of UTF-8 is stored as U+FFFD and two
 * hexadecimal digits, "caf\uFFFDe9", and so are the three bytes of a U+FFFD itself, so that
 * esp_json_bytes gives back the same bytes. Other text is stored as it is. */
#ifndef ESPALIER_CORE_JSON_H
#define ESPALIER_CORE_JSON_H

#include "espalier/core/c_linkage.h"

#include <jansson.h>
#include <stddef.h>

ESP_C_BEGIN

/* A JSON string of bytes; JSON null of NULL. A new reference, never NULL. Local. */
json_t *esp_json_text(const char *bytes);

/* The bytes that esp_json_text was given, owned by the caller; NULL where value is no string.
 * Local.
 */
char *esp_json_bytes(const json_t *value);

/* A JSON number; JSON null of infinities and NaN, which JSON does not have. A new reference, never
 * NULL. Local. */
json_t *esp_json_real(double value);

/* json_pack (jansson), but panics where that fails: "s" is for text that is UTF-8, "f" for finite
 * numbers, "o" for what esp_json_text and esp_json_real make. Local. */
json_t *esp_json_pack(const char *format, ...);

/* json_dumps (jansson), owned by the caller, freed with esp_free; panics where that fails. Local.
 */
char *esp_json_dump(const json_t *value, size_t flags);

ESP_C_END

#endif
