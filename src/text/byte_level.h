/* Bytes as characters, as GPT-2 has them: printable ones stand for themselves, the others for
 * U+0100 and on. */
#ifndef ESPALIER_SRC_TEXT_BYTE_LEVEL_H
#define ESPALIER_SRC_TEXT_BYTE_LEVEL_H

#include "buffer.h"

/* Add the characters of a text's bytes. */
void byte_level_add(buffer *to, span from);
/* The byte that a character stands for, -1: none. */
int byte_level_get(uint32_t c);

#endif
