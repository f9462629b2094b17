/* Names of options: whole keys, "section.name", and flags, "--name". */
#include "options_internal.h"

#include "espalier/core/memory.h"

#include <string.h>

static char fold(char c) {
  return c == '_' ? '-' : c;
}

bool esp_option_same_name(const char *a, const char *b) {
  for (; fold(*a) == fold(*b); a++, b++)
    if (!*a) return true;
  return false;
}

const char *esp_option_name(const esp_option *row) {
  return strchr(row->key, '.') + 1;
}

char *esp_option_flag(const esp_option *row) {
  char *flag = esp_format("--%s", esp_option_name(row));
  for (char *c = flag; *c; c++)
    if (*c == '_') *c = '-';
  return flag;
}

void esp_option_section(const esp_option *row, char section[ESP_OPTION_KEY_BYTES]) {
  const size_t length = (size_t)(strchr(row->key, '.') - row->key);
  memcpy(section, row->key, length);
  section[length] = '\0';
}
