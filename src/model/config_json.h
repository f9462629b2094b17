/* config.json as Python's json module reads and writes it. Beside JSON that has NaN, Infinity,
 * -Infinity, integers of any size, numbers beyond double precision and halves of surrogate pairs.
 *
 * jansson holds none of these numbers. They become strings, U+FFFF and the number as it is written,
 * so that what nobody reads is written as it was read. Half a surrogate pair becomes U+FFFD. Where
 * a member is there twice, the last counts. */
#ifndef ESPALIER_SRC_MODEL_CONFIG_JSON_H
#define ESPALIER_SRC_MODEL_CONFIG_JSON_H

#include "espalier/core/status.h"

#include <jansson.h>

/* A new reference. FORMAT: no JSON object, with the line. Local. */
esp_status config_json_parse(const char *text, json_t **config);
/* json_dumps, with the numbers as they were read; owned by the caller, freed with esp_free. Local.
 */
char *config_json_dump(const json_t *value, size_t flags);
/* The text of a number that jansson does not hold, or NULL. Borrowed. */
const char *config_json_get_number(const json_t *value);

#endif
