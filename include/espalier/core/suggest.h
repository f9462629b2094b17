/* Names that a user may have meant. */
#ifndef ESPALIER_CORE_SUGGEST_H
#define ESPALIER_CORE_SUGGEST_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/status.h"

ESP_C_BEGIN

/* Fail with USAGE: "unknown <what> '<name>'; did you mean ...? Known: a, b, c". The nearest names
 * by edit distance come first; lists of more than 24 names are not printed whole. names ends with
 * NULL. Local. */
esp_status esp_fail_unknown(const char *what, const char *name, const char *const *names);

ESP_C_END

#endif
