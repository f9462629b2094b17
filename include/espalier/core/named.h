/* Tables of what is chosen by name: criteria, repairs, families. A row is a struct that begins with
 * its name, a const char *. Local. */
#ifndef ESPALIER_CORE_NAMED_H
#define ESPALIER_CORE_NAMED_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

#include <stdbool.h>
#include <stddef.h>

ESP_C_BEGIN

/* Find a row among pointers to rows, which end with NULL; *index is its place. USAGE names the
 * nearest and the known ones: "unknown <what> '<name>'; ...". */
esp_status esp_find_pointer(const char *what, const char *name, const void *pointers, int *index);

/* The same among rows of row_bytes each, which end with a row without a name; a list of names is
 * such a table too. */
esp_status esp_find_row(const char *what, const char *name, const void *rows, size_t row_bytes,
                        int *index);

/* Whether a name is one of some, or matches one of them as a pattern of fnmatch: names and patterns
 * with commas between them. */
bool esp_name_matches(const char *name, const char *patterns);

ESP_C_END

#endif
