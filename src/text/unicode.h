/* Classes of characters, letter case, and Unicode's normal forms. */
#ifndef ESPALIER_SRC_TEXT_UNICODE_H
#define ESPALIER_SRC_TEXT_UNICODE_H

#include "buffer.h"

typedef struct unicode_range {
  uint32_t first, last;
} unicode_range;

/* As the reference has them (unicode_tables.c). */
extern const unicode_range unicode_punctuation[], unicode_nonspacing[], unicode_marks[],
    unicode_control[], unicode_unknown[];
extern const int unicode_punctuation_count, unicode_nonspacing_count, unicode_marks_count,
    unicode_control_count, unicode_unknown_count;

bool unicode_is_space(uint32_t c);       // property White_Space
bool unicode_is_punctuation(uint32_t c); // P, and ASCII's symbols
bool unicode_is_nonspacing(uint32_t c);  // Mn
bool unicode_is_mark(uint32_t c);        // M
bool unicode_is_control(uint32_t c);     // Cc, Cf, Co, without tab, line feed, carriage return
bool unicode_is_numeric(uint32_t c);     // N
bool unicode_is_word(uint32_t c);        // \w: alphabetic, marks, Nd, Pc, joiners

/* Add a character in lower case. */
void unicode_add_lower(buffer *to, uint32_t c);

typedef enum normal_form { NFC, NFD, NFKC, NFKD } normal_form;
/* Add a text in a normal form. */
void unicode_add_normal(buffer *to, span text, normal_form form);

/* Whether characters a and b belong to two grapheme clusters; *state is 0 at first. */
bool unicode_is_break(uint32_t a, uint32_t b, int32_t *state);

#endif
