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

/* No file of use makes a text so much longer; several rules, one behind the other, might fill any
 * memory. */
enum { MOST_GROWTH = 16, FREE_GROWTH = 1 << 16 };

/* Add text, its matches replaced by content. FORMAT: also where it would grow beyond all use. */
esp_status pattern_replace(pattern *self, span text, span content, buffer *to);

/* Oniguruma's syntax to PCRE2's (pattern_translate.c). FORMAT: what has no equal there. */
esp_status pattern_translate(const char *file, span source, buffer *to);

#endif
