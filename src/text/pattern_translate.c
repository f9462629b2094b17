/* Regular expressions of tokenizer.json are Oniguruma's, in Ruby's syntax. PCRE2 reads most of them
 * alike. What it takes for something else is written so that it means the same, or refused. */
#include "pattern.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* White space and word characters of Oniguruma, for use inside of brackets; the word characters of
 * category No are an oddity of its Latin-1. */
#define SPACE                                                                                      \
  "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
  "\\x{3000}"
#define NOT_SPACE                                                                            \
  "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{" \
  "1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{"    \
  "3001}-\\x{10ffff}"
#define WORD                                                                              \
  "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24" \
  "e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"

typedef struct reader {
  const char *file;
  span source;
  int64_t at;
  bool in_class;
  int64_t class_begin; // behind [ or [^
  buffer *to;
} reader;

static esp_status fail(const reader *self, const char *what) {
  const span of = self->source;
  return esp_fail(ESP_FORMAT,
                  "%s: expected a regular expression that PCRE2 reads as Oniguruma does, found %s "
                  "at %lld of '%.*s'; this is not supported",
                  self->file, what, (long long)self->at, (int)(of.count < 200 ? of.count : 200),
                  of.bytes);
}

static void put(const reader *self, const char *text) {
  buffer_add(self->to, span_of(text));
}

/* The byte at a distance from the place, 0 behind the end. */
static char peek(const reader *self, int64_t distance) {
  const int64_t at = self->at + distance;
  return at < self->source.count ? self->source.bytes[at] : 0;
}

static void copy(reader *self, int64_t count) {
  if (count > self->source.count - self->at) count = self->source.count - self->at;
  buffer_add(self->to, (span){self->source.bytes + self->at, count});
  self->at += count;
}

/* Classes by a letter: what stands for them outside and inside of brackets; NULL: no such. */
static const struct {
  char letter;
  const char *outside, *inside;
} classes[] = {
    {'s', "[" SPACE "]", SPACE},
    {'S', "[^" SPACE "]", NOT_SPACE},
    {'w', "[" WORD "]", WORD},
    {'W', "[^" WORD "]", NULL},
    {'d', "\\p{Nd}", "\\p{Nd}"},
    {'D', "\\P{Nd}", "\\P{Nd}"},
    {'b', "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))", "\\x08"},
    {'B', "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))", NULL},
    {'v', "\\x0b", "\\x0b"},
    {'A', "\\A", NULL},
    {'z', "\\z", NULL},
    {'Z', "\\Z", NULL},
    {'n', "\\n", "\\n"},
    {'r', "\\r", "\\r"},
    {'t', "\\t", "\\t"},
    {'f', "\\f", "\\f"},
    {'a', "\\a", "\\a"},
    {'e', "\\e", "\\e"},
};

static const char *find_class(const reader *self, char letter) {
  for (unsigned i = 0; i < sizeof classes / sizeof *classes; i++)
    if (classes[i].letter == letter) return self->in_class ? classes[i].inside : classes[i].outside;
  return NULL;
}

/* \p{Name}: of scripts PCRE2's own meaning is wider. */
static esp_status read_property(reader *self) {
  const char *name = self->source.bytes + self->at + 3;
  const char *end = memchr(name, '}', (size_t)(self->source.count - self->at - 3));
  if (!end) return fail(self, "a property without an end");
  const bool is_negated = *name == '^';
  char line[96];
  const int64_t count = end - name - is_negated;
  if (count < 1 || count > 48) return fail(self, "a property with such a name");
  const bool is_category = count <= 2 || memcmp(name + is_negated, "Any", 3) == 0;
  snprintf(line, sizeof line, "\\%c{%s%s%.*s}", peek(self, 1), is_negated ? "^" : "",
           is_category ? "" : "sc:", (int)count, name + is_negated);
  put(self, line);
  self->at += 4 + is_negated + count;
  return ESP_OK;
}

/* \xHH, \x{H...}, \uHHHH: a character by its number. */
static esp_status read_number(reader *self) {
  char digits[16] = {0}, line[32];
  const bool is_braced = peek(self, 2) == '{';
  const int most = is_braced ? 8 : peek(self, 1) == 'u' ? 4 : 2;
  int n = 0;
  while (n < most && isxdigit((unsigned char)peek(self, 2 + is_braced + n))) {
    digits[n] = peek(self, 2 + is_braced + n);
    n++;
  }
  const bool is_whole = n > 0 && (is_braced ? peek(self, 3 + n) == '}' : n == most);
  const unsigned long c = strtoul(digits, NULL, 16);
  if (!is_whole || (peek(self, 1) == 'x' && !is_braced && c > 0x7F))
    return fail(self, "such a number of a character");
  snprintf(line, sizeof line, "\\x{%lx}", c);
  put(self, line);
  self->at += 2 + n + 2 * is_braced;
  return ESP_OK;
}

static esp_status read_escape(reader *self) {
  const char letter = peek(self, 1);
  const char *known = find_class(self, letter);
  if (known) {
    put(self, known);
    self->at += 2;
    return ESP_OK;
  }
  if ((letter == 'p' || letter == 'P') && peek(self, 2) == '{') return read_property(self);
  if (letter == 'x' || letter == 'u') return read_number(self);
  if (isdigit((unsigned char)letter) && self->in_class) return fail(self, "an octal number");
  if (isalpha((unsigned char)letter) || letter == 0 || letter == '0')
    return fail(self, "this escape");
  copy(self, 2);
  return ESP_OK;
}

static esp_status read_in_class(reader *self) {
  const char c = peek(self, 0);
  if (c == '\\') return read_escape(self);
  if (c == '[') return fail(self, "brackets in brackets");
  if (c == '&' && peek(self, 1) == '&') return fail(self, "an intersection of classes");
  if (c == ']' && self->at == self->class_begin) return fail(self, "empty brackets");
  if (c == ']') self->in_class = false;
  copy(self, 1);
  return ESP_OK;
}

static void begin_class(reader *self) {
  copy(self, peek(self, 1) == '^' ? 2 : 1);
  self->in_class = true;
  self->class_begin = self->at;
}

/* What may stand behind (?. */
static esp_status read_group(reader *self) {
  static const char *const known[] = {"(?:", "(?=",  "(?!",   "(?<=", "(?<!",
                                      "(?>", "(?i:", "(?-i:", "(?i)", "(?-i)"};
  if (peek(self, 1) != '?') {
    copy(self, 1);
    return ESP_OK;
  }
  for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
    const int64_t count = (int64_t)strlen(known[i]);
    if (self->source.count - self->at < count ||
        memcmp(self->source.bytes + self->at, known[i], (size_t)count) != 0)
      continue;
    copy(self, count);
    return ESP_OK;
  }
  return fail(self, "this kind of group");
}

/* {n,m}: as a quantifier; + and ? behind it mean something else in PCRE2. */
static esp_status read_interval(reader *self) {
  int64_t n = 1;
  while (isdigit((unsigned char)peek(self, n))) n++;
  const bool is_exact = peek(self, n) == '}';
  if (n == 1) return fail(self, "a brace without a number");
  if (peek(self, n) == ',') n++;
  while (isdigit((unsigned char)peek(self, n))) n++;
  if (peek(self, n) != '}') return fail(self, "a brace without an end");
  const char next = peek(self, n + 1);
  if (next == '+' || (next == '?' && is_exact)) return fail(self, "a sign behind a brace");
  copy(self, n + 1);
  return ESP_OK;
}

static esp_status read_one(reader *self) {
  if (self->in_class) return read_in_class(self);
  switch (peek(self, 0)) {
  case '\\':
    return read_escape(self);
  case '(':
    return read_group(self);
  case '{':
    return read_interval(self);
  case '[':
    begin_class(self);
    return ESP_OK;
  default:
    copy(self, 1);
    return ESP_OK;
  }
}

esp_status pattern_translate(const char *file, span source, buffer *to) {
  reader self = {.file = file, .source = source, .to = to};
  if (source.count > 0 && memchr(source.bytes, 0, (size_t)source.count))
    return fail(&self, "a zero byte");
  while (self.at < source.count) ESP_TRY(read_one(&self));
  return ESP_OK;
}
