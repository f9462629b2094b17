/* What the files of the options share. */
#ifndef ESPALIER_CORE_OPTIONS_INTERNAL_H
#define ESPALIER_CORE_OPTIONS_INTERNAL_H

#include "espalier/core/options.h"

enum { ESP_OPTION_KEY_BYTES = 128 };

/* True iff equal but for '-' and '_'. */
bool esp_option_same_name(const char *a, const char *b);

/* The part of the key behind the dot; the part before it, copied. */
const char *esp_option_name(const esp_option *row);
void esp_option_section(const esp_option *row, char section[ESP_OPTION_KEY_BYTES]);

/* Row of a whole key or of a bare name, NULL for none: of several of one name that of the command,
 * or the first. */
const esp_option *esp_option_find(const esp_option_table *table, const char *name);
const esp_option *esp_option_find_for(const esp_option_table *table, const char *name,
                                      unsigned command);

/* Fail with USAGE and the nearest names of the options of a command. The names are spelled as the
 * unknown one is: as whole keys where it has a dot, with "--" where it has that. */
esp_status esp_option_fail_unknown(const esp_option_table *table, const char *what,
                                   const char *name, unsigned command);

/* Address of the member of a row in the settings. */
void *esp_option_member(const esp_option *row, const void *settings);

/* Parse, check and store a value; label is what the user wrote for the option. USAGE. */
esp_status esp_option_store(const esp_option *row, void *settings, const char *label,
                            const char *text);

/* Note where an option was given. */
void esp_option_note(const esp_option_table *table, const esp_option *row,
                     esp_option_origin origin);

/* Store the default, or zero, false, NULL. A text stored before is freed. */
void esp_option_reset(const esp_option *row, void *settings);

/* "at least 0 and below 1", "one of a, b", "" where anything goes; the caller's. */
char *esp_option_format_limits(const esp_option *row);

/* Fail with USAGE: "<label>: expected a number from 0 to 1, found ...". */
esp_status esp_option_fail_value(const esp_option *row, const char *label, const char *found);

#endif
