/* Fields of tokenizer.json, each checked: what is wrong is named with its place in the file. */
#ifndef ESPALIER_SRC_TEXT_JSON_FIELDS_H
#define ESPALIER_SRC_TEXT_JSON_FIELDS_H

#include "buffer.h"

#include "espalier/core/status.h"

#include <jansson.h>

/* An object of the file: where it is, "tokenizer.json: normalizer", for messages. */
typedef struct json_place {
  const char *name;
  const json_t *object;
} json_place;

/* FORMAT unless there is a string; borrowed from the JSON. */
esp_status field_text(const json_place *of, const char *key, span *value);
/* The same, but null or nothing gives no bytes (NULL). */
esp_status field_text_or_none(const json_place *of, const char *key, span *value);
/* true or false; null or nothing gives the default. */
esp_status field_flag(const json_place *of, const char *key, bool initial, bool *value);
/* An integer from low to high; null or nothing gives the default. */
typedef struct field_range {
  int64_t low, high, initial;
} field_range;
esp_status field_integer(const json_place *of, const char *key, field_range range, int64_t *value);
/* An array; FORMAT where there is none. */
esp_status field_array(const json_place *of, const char *key, const json_t **value);
/* One character. */
esp_status field_character(const json_place *of, const char *key, uint32_t *value);
/* {"String": text} or {"Regex": text}. */
esp_status field_pattern(const json_place *of, const char *key, span *value, bool *is_literal);

/* Its kind by "type": a place in a table of rows that begin with their names, ended by NULL. what
 * is "normalizer"; FORMAT names the unknown and lists the known. */
esp_status field_kind(const json_place *of, const char *what, const void *pointers, int *index);
/* The items of a Sequence and how deep they may be nested. */
enum { MOST_DEPTH = 16 };
esp_status check_depth(const json_place *of, int depth);
/* Bytes of a text of the file for a message: not too many. */
int span_shown(span text);

#endif
