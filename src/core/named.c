#include "espalier/core/named.h"

#include "espalier/core/memory.h"
#include "espalier/core/suggest.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>

/* A table whose rows, or the pointers to them, stand row_bytes apart. */
typedef struct table {
  const void *rows;
  size_t row_bytes;
  bool has_pointers;
} table;

static const void *read_pointer(const void *from) {
  const void *pointer;
  memcpy(&pointer, from, sizeof pointer);
  return pointer;
}

/* NULL: the table has ended. */
static const char *get_name(const table *self, int64_t i) {
  const void *first = read_pointer((const char *)self->rows + (size_t)i * self->row_bytes);
  return first && self->has_pointers ? read_pointer(first) : first;
}

static esp_status fail_unknown(const table *self, int64_t count, const char *what,
                               const char *name) {
  const char **names = ESP_NEW(const char *, count + 1);
  for (int64_t i = 0; i < count; i++) names[i] = get_name(self, i);
  const esp_status status = esp_fail_unknown(what, name, names);
  esp_free(&names);
  return status;
}

static esp_status find(const table *self, const char *what, const char *name, int *index) {
  int64_t i = 0;
  for (const char *row; (row = get_name(self, i)); i++)
    if (strcmp(row, name) == 0) {
      *index = (int)i;
      return ESP_OK;
    }
  return fail_unknown(self, i, what, name);
}

esp_status esp_find_pointer(const char *what, const char *name, const void *pointers, int *index) {
  const table self = {pointers, sizeof(void *), true};
  return find(&self, what, name, index);
}

esp_status esp_find_row(const char *what, const char *name, const void *rows, size_t row_bytes,
                        int *index) {
  const table self = {rows, row_bytes, false};
  return find(&self, what, name, index);
}

bool esp_name_matches(const char *name, const char *patterns) {
  bool found = false;
  char *copy = esp_strdup(patterns), *rest = copy;
  for (char *word = strtok_r(rest, ", ", &rest); word && !found; word = strtok_r(NULL, ", ", &rest))
    found = fnmatch(word, name, 0) == 0;
  esp_free(&copy);
  return found;
}
