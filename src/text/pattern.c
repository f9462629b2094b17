#include "pattern.h"

#include "espalier/core/memory.h"

#include <time.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A match may take MOST_STEPS, and STEPS_A_BYTE more for every byte of the text, of which a run of
 * white space may be most; a text SECONDS, and one more for every BYTES_A_SECOND. Between two
 * looks at the clock a window of starting places is searched, small while the pattern is slow. */
enum {
  MOST_STEPS = 10000000,
  STEPS_A_BYTE = 4,
  MOST_SOURCE = 1 << 16,
  SECONDS = 5,
  BYTES_A_SECOND = 200000,
  FIRST_WINDOW = 64,
  MOST_WINDOW = 1 << 20,
  MATCHES_A_LOOK = 1024,
  FIRST_STACK = 1 << 15,
  MOST_STACK = 1 << 24
};

struct pattern {
  pcre2_code *code;
  pcre2_match_data *data;
  pcre2_match_context *context;
  pcre2_jit_stack *stack;
  char *file;
};

void matches_add(matches *self, match item) {
  if (self->count == self->room) {
    const int64_t room = self->room > 0 ? 2 * self->room : 64;
    match *items = ESP_NEW(match, room);
    if (self->count > 0) memcpy(items, self->items, (size_t)self->count * sizeof *items);
    esp_free(&self->items);
    self->items = items;
    self->room = room;
  }
  self->items[self->count++] = item;
}

void matches_clear(matches *self) {
  esp_free(&self->items);
  *self = (matches){0};
}

static esp_status fail_compile(const char *file, span source, int code, size_t at) {
  PCRE2_UCHAR text[256] = {0};
  pcre2_get_error_message(code, text, sizeof text);
  return esp_fail(ESP_FORMAT,
                  "%s: expected a regular expression, found '%.*s': %s (at %zu); only what "
                  "PCRE2 knows too can be used",
                  file, (int)(source.count < 200 ? source.count : 200), source.bytes,
                  (const char *)text, at);
}

static esp_status compile(pattern *self, span source, span translated, bool is_literal) {
  const uint32_t options =
      PCRE2_UTF |
      (is_literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C);
  int code;
  size_t at;
  pcre2_compile_context *how = pcre2_compile_context_create(NULL);
  pcre2_set_newline(how, PCRE2_NEWLINE_LF);
  self->code =
      pcre2_compile((PCRE2_SPTR)(translated.bytes ? translated.bytes : ""),
                    (size_t)translated.count, options | PCRE2_USE_OFFSET_LIMIT, &code, &at, how);
  pcre2_compile_context_free(how);
  return self->code ? ESP_OK : fail_compile(self->file, source, code, at);
}

/* Without JIT, which some systems forbid, PCRE2 matches too, slower. */
static void prepare(pattern *self) {
  self->data = pcre2_match_data_create_from_pattern(self->code, NULL);
  self->context = pcre2_match_context_create(NULL);
  if (pcre2_jit_compile(self->code, PCRE2_JIT_COMPLETE) != 0) return;
  self->stack = pcre2_jit_stack_create(FIRST_STACK, MOST_STACK, NULL);
  pcre2_jit_stack_assign(self->context, NULL, self->stack);
}

esp_status pattern_new(const char *file, span source, bool is_literal, pattern **made) {
  *made = NULL;
  if (source.count > MOST_SOURCE)
    return esp_fail(ESP_FORMAT, "%s: expected a pattern of at most %d bytes, found %lld", file,
                    (int)MOST_SOURCE, (long long)source.count);
  buffer translated = {0};
  pattern *self = ESP_NEW(pattern, 1);
  self->file = esp_strdup(file);
  esp_status status = ESP_OK;
  if (is_literal)
    buffer_add(&translated, source);
  else
    status = pattern_translate(file, source, &translated);
  if (status == ESP_OK) status = compile(self, source, buffer_span(&translated), is_literal);
  if (status == ESP_OK) prepare(self);
  buffer_clear(&translated);
  if (status != ESP_OK) pattern_free(&self);
  *made = self;
  return status;
}

void pattern_free(pattern **pointer) {
  pattern *self = *pointer;
  if (!self) return;
  pcre2_code_free(self->code);
  pcre2_match_data_free(self->data);
  pcre2_match_context_free(self->context);
  pcre2_jit_stack_free(self->stack);
  esp_free(&self->file);
  esp_free(pointer);
}

/* Where a search is. */
typedef struct search {
  span text;
  int64_t at, last_end; // last_end: of the last match, -1 at first
  int64_t window, looks;
  clock_t begin;
} search;

static esp_status fail_slow(const pattern *self, const search *where, const char *why) {
  return esp_fail(ESP_FORMAT,
                  "%s: a pattern takes too long on %lld bytes of text (%s): its time grows too "
                  "fast with the length of the text; use another tokenizer file",
                  self->file, (long long)where->text.count, why);
}

static esp_status look_at_clock(const pattern *self, search *where) {
  const double most = SECONDS + (double)where->text.count / BYTES_A_SECOND;
  if ((double)(clock() - where->begin) / CLOCKS_PER_SEC < most) return ESP_OK;
  return fail_slow(self, where, "more than the time that is given to it");
}

static int64_t skip_character(span text, int64_t at) {
  return at < text.count ? at + utf8_length((unsigned char)text.bytes[at]) : at + 1;
}

/* Nothing begins in the window. */
static esp_status leave_window(const pattern *self, search *where) {
  where->at += where->window + 1;
  while (where->at < where->text.count &&
         ((unsigned char)where->text.bytes[where->at] & 0xC0) == 0x80)
    where->at++;
  if (where->window < MOST_WINDOW) where->window *= 2;
  return look_at_clock(self, where);
}

static void limit_steps(const pattern *self, int64_t bytes) {
  const int64_t most = MOST_STEPS + STEPS_A_BYTE * bytes;
  pcre2_set_match_limit(self->context, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
}

/* The next match; *found is false at the end. */
static esp_status find_next(pattern *self, search *where, match *next, bool *found) {
  *found = false;
  while (where->at <= where->text.count) {
    pcre2_set_offset_limit(self->context, (size_t)(where->at + where->window));
    const int code =
        pcre2_match(self->code, (PCRE2_SPTR)where->text.bytes, (size_t)where->text.count,
                    (size_t)where->at, PCRE2_NO_UTF_CHECK, self->data, self->context);
    if (code == PCRE2_ERROR_NOMATCH) {
      ESP_TRY(leave_window(self, where));
      continue;
    }
    if (code < 0) return fail_slow(self, where, "more steps than are given to a match");
    const size_t *ends = pcre2_get_ovector_pointer(self->data);
    *next = (match){(int64_t)ends[0], (int64_t)ends[1], true};
    if (next->begin == next->end && next->end == where->last_end) {
      where->at = skip_character(where->text, where->at);
      continue;
    }
    where->at = where->last_end = next->end;
    *found = true;
    return ++where->looks % MATCHES_A_LOOK == 0 ? look_at_clock(self, where) : ESP_OK;
  }
  return ESP_OK;
}

static esp_status put_all(const pattern *self, span text, span content, const matches *found,
                          buffer *to) {
  const int64_t most = to->count + MOST_GROWTH * text.count + FREE_GROWTH;
  for (int64_t i = 0; i < found->count; i++) {
    const match of = found->items[i];
    buffer_add(to, of.is_match ? content : (span){text.bytes + of.begin, of.end - of.begin});
    if (to->count > most)
      return esp_fail(ESP_FORMAT,
                      "%s: a replacement makes %lld bytes of text more than %d times as long; use "
                      "another tokenizer file",
                      self->file, (long long)text.count, (int)MOST_GROWTH);
  }
  return ESP_OK;
}

esp_status pattern_replace(pattern *self, span text, span content, buffer *to) {
  matches found = {0};
  esp_status status = pattern_find(self, text, &found);
  if (status == ESP_OK) status = put_all(self, text, content, &found, to);
  matches_clear(&found);
  return status;
}

esp_status pattern_find(pattern *self, span text, matches *found) {
  found->count = 0;
  if (text.count == 0) return ESP_OK;
  limit_steps(self, text.count);
  search where = {.text = text, .last_end = -1, .window = FIRST_WINDOW, .begin = clock()};
  int64_t done = 0;
  bool more = true;
  while (more) {
    match next;
    ESP_TRY(find_next(self, &where, &next, &more));
    if (!more) break;
    if (next.begin > done) matches_add(found, (match){done, next.begin, false});
    matches_add(found, next);
    done = next.end;
  }
  if (done < text.count) matches_add(found, (match){done, text.count, false});
  return ESP_OK;
}
