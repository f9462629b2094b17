#include "espalier/core/suggest.h"

#include "espalier/core/memory.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_SUGGESTED = 3, MOST_LISTED = 24, SHORTEST_STEM = 3 };

typedef struct text_buffer {
  char bytes[960];
  size_t length;
} text_buffer;

static void append(text_buffer *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(text_buffer *self, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const size_t room = sizeof self->bytes - self->length;
  const int length = vsnprintf(self->bytes + self->length, room, format, arguments);
  va_end(arguments);
  if (length > 0) self->length += (size_t)length < room ? (size_t)length : room - 1;
}

static int fold(char c) {
  return c == '_' ? '-' : tolower((unsigned char)c);
}

static int min_int(int a, int b) {
  return a < b ? a : b;
}

/* One row of the table of distances; previous and earlier are the rows above (earlier of row 0:
 * none). */
static void fill_row(const char *a, int i, const char *b, int *const rows[3]) {
  const int *const earlier = rows[0], *const previous = rows[1];
  int *const row = rows[2];
  row[0] = i;
  for (int j = 1; b[j - 1]; j++) {
    const int differs = fold(a[i - 1]) != fold(b[j - 1]);
    row[j] = min_int(previous[j - 1] + differs, 1 + min_int(previous[j], row[j - 1]));
    if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
      row[j] = min_int(row[j], earlier[j - 2] + 1);
  }
}

/* Optimal string alignment: insertions, deletions, changes and swaps of neighbours cost one each.
 */
static int edit_distance(const char *a, const char *b) {
  const int width = esp_int((int64_t)strlen(b)) + 1;
  int *memory = ESP_NEW(int, 3 * (int64_t)width);
  int *rows[3] = {memory, memory + width, memory + 2 * width};
  for (int j = 0; j < width; j++) rows[2][j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int *const oldest = rows[0];
    rows[0] = rows[1];
    rows[1] = rows[2];
    rows[2] = oldest;
    fill_row(a, i, b, rows);
  }
  const int distance = rows[2][width - 1];
  esp_free(&memory);
  return distance;
}

static int is_prefix(const char *stem, const char *text) {
  while (*stem && fold(*stem) == fold(*text)) stem++, text++;
  return !*stem;
}

/* How far a known name is from the given one: 0 when one begins the other, INT_MAX when more than a
 * letter and a quarter of them differ, which is no slip. */
static int rank_name(const char *given, const char *known) {
  if (!*given) return INT_MAX;
  if (is_prefix(given, known)) return 0;
  if (strlen(known) >= SHORTEST_STEM && is_prefix(known, given)) return 0;
  const size_t allowed = 1 + strlen(known) / 4;
  if (strlen(given) > strlen(known) + allowed || strlen(known) <= allowed) return INT_MAX;
  const int distance = edit_distance(given, known);
  return (size_t)distance <= allowed ? distance : INT_MAX;
}

static int64_t find_least(const int *ranks, int64_t count) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; i++)
    if (ranks[i] < ranks[best]) best = i;
  return best;
}

static void append_nearest(text_buffer *text, const char *given, const char *const *names,
                           int64_t count) {
  int *ranks = ESP_NEW(int, count + 1);
  for (int64_t i = 0; i < count; i++) ranks[i] = rank_name(given, names[i]);
  ranks[count] = INT_MAX;
  for (int suggested = 0; suggested < MOST_SUGGESTED; suggested++) {
    const int64_t best = find_least(ranks, count + 1);
    if (ranks[best] == INT_MAX) break;
    append(text, "%s%s", suggested ? ", " : "; did you mean ", names[best]);
    ranks[best] = INT_MAX;
  }
  if (text->length) append(text, "?");
  esp_free(&ranks);
}

static void append_known(text_buffer *text, const char *const *names, int64_t count) {
  append(text, text->length ? " Known: " : "; known: ");
  for (int64_t i = 0; i < count; i++) append(text, "%s%s", i ? ", " : "", names[i]);
}

esp_status esp_fail_unknown(const char *what, const char *name, const char *const *names) {
  text_buffer text = {.length = 0};
  int64_t count = 0;
  while (names[count]) count++;
  append_nearest(&text, name, names, count);
  if (count > 0 && count <= MOST_LISTED) append_known(&text, names, count);
  if (text.length == 0) append(&text, "; none of the %lld known is near it", (long long)count);
  return esp_fail(ESP_USAGE, "unknown %s '%.80s'%s", what, name, text.bytes);
}
