/* Places in a text: of a string, or of a regular expression of Oniguruma (Ruby's syntax), run by
 * PCRE2 with Unicode properties and limits. */
#ifndef ESPALIER_SRC_TEXT_PATTERN_H
#define ESPALIER_SRC_TEXT_PATTERN_H

#include "buffer.h"

#include "espalier/core/status.h"

typedef struct pattern pattern;

typedef struct match {
  int64_t begin, end;
  bool is_match;
} match;

/* Matches and what is between them: together the whole text. */
typedef struct matches {
  match *items; // (room), owned
  int64_t count, room;
} matches;
void matches_add(matches *self, match item);
void matches_clear(matches *self);

/* FORMAT: cannot be compiled, or means something else in PCRE2; file names the source. */
esp_status pattern_new(const char *file, span source, bool is_literal, pattern **self);
void pattern_free(pattern **self);
/* Find all, from the left, that do not overlap; an empty one not right behind another. FORMAT: the
 * pattern takes too many steps. */
esp_status pattern_find(pattern *self, span text, matches *found);

/* Oniguruma's syntax to PCRE2's (pattern_translate.c). FORMAT: what has no equal there. */
esp_status pattern_translate(const char *file, span source, buffer *to);

#endif
