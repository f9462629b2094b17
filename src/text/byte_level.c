#include "byte_level.h"

static bool is_printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
}

enum { CHARACTERS = 0x100 + 68 };

/* Both ways; all characters take two bytes or one. */
static struct {
  char text[256][2];
  char length[256];
  int16_t byte[CHARACTERS];
  bool is_made;
} table;

static void make_table(void) {
  uint32_t next = 0x100;
  for (int i = 0; i < CHARACTERS; i++) table.byte[i] = -1;
  for (int byte = 0; byte < 256; byte++) {
    const uint32_t c = is_printable(byte) ? (uint32_t)byte : next++;
    table.byte[c] = (int16_t)byte;
    table.length[byte] = c < 0x80 ? 1 : 2;
    table.text[byte][0] = c < 0x80 ? (char)c : (char)(0xC0 | c >> 6);
    table.text[byte][1] = (char)(0x80 | (c & 0x3F));
  }
  table.is_made = true;
}

void byte_level_add(buffer *to, span from) {
  if (!table.is_made) make_table();
  if (from.count == 0) return;
  buffer_reserve(to, 2 * from.count);
  char *at = to->bytes + to->count;
  for (int64_t i = 0; i < from.count; i++) {
    const unsigned char byte = (unsigned char)from.bytes[i];
    at[0] = table.text[byte][0];
    if (table.length[byte] == 2) at[1] = table.text[byte][1];
    at += table.length[byte];
  }
  to->count = at - to->bytes;
}

int byte_level_get(uint32_t c) {
  if (!table.is_made) make_table();
  return c < CHARACTERS ? table.byte[c] : -1;
}
