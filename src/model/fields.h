/* Members of config.json by family: what is read, what has no bearing on the forward pass, and what
 * is refused unless it has the value that changes nothing. docs/checkpoint_fields.md is the same
 * table. */
#ifndef ESPALIER_SRC_MODEL_FIELDS_H
#define ESPALIER_SRC_MODEL_FIELDS_H

#include "espalier/model/family.h"

typedef enum config_field_use {
  CONFIG_FIELD_READ,
  CONFIG_FIELD_IRRELEVANT,
  CONFIG_FIELD_REFUSED // unless it is absent, null or neutral
} config_field_use;

typedef struct config_field {
  const char *name;
  unsigned families; // bits, as in config_field_families
  config_field_use use;
  const char *neutral; // JSON of a value, where it is refused otherwise
} config_field;

/* Ended by a name of NULL. */
extern const config_field config_fields[];
/* Names by bit, ended by NULL. */
extern const char *const config_field_families[];

/* FORMAT, naming a member that is refused. Local. */
esp_status config_fields_check(const esp_model *model);

#endif
