#include "added_tokens.h"
#include "unicode.h"

#include "espalier/core/memory.h"

#include <stdlib.h>

enum { MOST_CONTENT = 1024, MOST_TOKENS = 1 << 20 };

const added_token *added_tokens_find(const added_tokens *self, span content) {
  for (int32_t i = 0; i < self->count; i++)
    if (span_equals(buffer_span(&self->items[i].content), content)) return &self->items[i];
  return NULL;
}

const added_token *added_tokens_get(const added_tokens *self, int32_t id) {
  int32_t low = 0, high = self->count;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (self->items[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < self->count && self->items[low].id == id ? &self->items[low] : NULL;
}

static esp_status read_flags(const json_place *of, added_token *token) {
  ESP_TRY(field_flag(of, "special", false, &token->is_special));
  ESP_TRY(field_flag(of, "single_word", false, &token->is_word));
  ESP_TRY(field_flag(of, "lstrip", false, &token->strips_left));
  ESP_TRY(field_flag(of, "rstrip", false, &token->strips_right));
  return field_flag(of, "normalized", !token->is_special, &token->is_normalized);
}

static esp_status fail_content(const json_place *of, span content) {
  return esp_fail(
      ESP_FORMAT,
      "%s: added_tokens: contents of 1 to %d bytes are expected, found %lld; repair the "
      "file",
      of->name, (int)MOST_CONTENT, (long long)content.count);
}

/* What the reference would number it: as the model does, else the next free number. */
static esp_status check_id(const json_place *of, span content, int32_t known, int32_t next,
                           int64_t id) {
  const int32_t expected = known >= 0 ? known : next;
  if (id == expected) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: added_tokens: '%.*s': id %d is expected, %s, found %lld; repair the file",
                  of->name, span_shown(content), content.bytes, (int)expected,
                  known >= 0 ? "as in the vocabulary" : "the next one", (long long)id);
}

static esp_status read_token(const json_place *of, const vocabulary *known, int32_t *next,
                             added_token *token) {
  span content = {NULL, 0};
  int64_t id;
  ESP_TRY(field_text(of, "content", &content));
  if (content.count < 1 || content.count > MOST_CONTENT) return fail_content(of, content);
  ESP_TRY(field_integer(of, "id", (field_range){0, INT32_MAX - 1, -1}, &id));
  const int32_t in_model = vocabulary_find(known, content);
  ESP_TRY(check_id(of, content, in_model, *next, id));
  if (in_model < 0) ++*next;
  token->id = (int32_t)id;
  buffer_add(&token->content, content);
  return read_flags(of, token);
}

static int compare_ids(const void *a, const void *b) {
  const int32_t x = ((const added_token *)a)->id, y = ((const added_token *)b)->id;
  return (x > y) - (x < y);
}

/* Items are kept by their ids. */
static esp_status sort(const json_place *of, added_tokens *self) {
  qsort(self->items, (size_t)self->count, sizeof *self->items, compare_ids);
  for (int32_t i = 1; i < self->count; i++)
    if (self->items[i].id == self->items[i - 1].id)
      return esp_fail(
          ESP_FORMAT,
          "%s: added_tokens: an id for each is expected, found %d twice; repair the file", of->name,
          (int)self->items[i].id);
  return ESP_OK;
}

static esp_status normalize(const normalizer *normal, added_token *token) {
  normal_text to = {0};
  if (!token->is_normalized || !normal) {
    buffer_add(&token->normal, buffer_span(&token->content));
    return ESP_OK;
  }
  const esp_status status = normalizer_apply(normal, buffer_span(&token->content), &to);
  token->normal = to.bytes;
  return status;
}

/* Two that are sought as the same text cannot be told apart. */
static esp_status plant(const json_place *of, added_tokens *self, int32_t i) {
  const added_token *token = &self->items[i];
  const span text = buffer_span(&token->normal);
  prefix_tree *tree = token->is_normalized ? &self->normalized : &self->raw;
  int64_t count = 0;
  if (text.count == 0) return ESP_OK;
  if (prefix_tree_find(tree, text, &count) >= 0 && count == text.count)
    return esp_fail(ESP_FORMAT, "%s: added_tokens: '%.*s' is there twice; repair the file",
                    of->name, span_shown(text), text.bytes);
  prefix_tree_add(tree, text, i);
  (token->is_normalized ? self->normalized_first : self->raw_first)[(unsigned char)text.bytes[0]] =
      true;
  *(token->is_normalized ? &self->has_normalized : &self->has_raw) = true;
  return ESP_OK;
}

static esp_status read_all(const json_place *of, const json_t *all, const vocabulary *known,
                           const normalizer *normal, added_tokens *self) {
  int32_t next = known->count;
  for (size_t i = 0; i < json_array_size(all); i++) {
    const json_place inside = {of->name, json_array_get(all, i)};
    added_token *token = &self->items[self->count++];
    ESP_TRY(read_token(&inside, known, &next, token));
    ESP_TRY(normalize(normal, token));
    if (token->id >= next) next = token->id + 1;
  }
  ESP_TRY(sort(of, self));
  for (int32_t i = 0; i < self->count; i++) ESP_TRY(plant(of, self, i));
  self->n_ids = self->count > 0 ? self->items[self->count - 1].id + 1 : 0;
  return ESP_OK;
}

esp_status added_tokens_read(const json_place *of, const vocabulary *known,
                             const normalizer *normal, added_tokens *self) {
  const json_t *all = json_object_get(of->object, "added_tokens");
  prefix_tree_init(&self->raw);
  prefix_tree_init(&self->normalized);
  if (!all || json_is_null(all)) return ESP_OK;
  ESP_TRY(field_array(of, "added_tokens", &all));
  if (json_array_size(all) > MOST_TOKENS)
    return esp_fail(ESP_FORMAT, "%s: at most %d added_tokens are expected, found %zu", of->name,
                    (int)MOST_TOKENS, json_array_size(all));
  self->items = ESP_NEW(added_token, (int64_t)json_array_size(all));
  return read_all(of, all, known, normal, self);
}

void added_tokens_clear(added_tokens *self) {
  for (int32_t i = 0; i < self->count; i++) {
    buffer_clear(&self->items[i].content);
    buffer_clear(&self->items[i].normal);
  }
  esp_free(&self->items);
  prefix_tree_clear(&self->raw);
  prefix_tree_clear(&self->normalized);
  *self = (added_tokens){0};
}

/* Whether a token stands alone: no word character beside it. */
static bool is_alone(span text, int64_t begin, int64_t end) {
  if (begin > 0 && unicode_is_word(utf8_read_before(text.bytes, text.bytes + begin))) return false;
  return end == text.count || !unicode_is_word(utf8_read(text.bytes + end));
}

static int64_t skip_left(span text, int64_t begin, int64_t done) {
  while (begin > done) {
    if (!unicode_is_space(utf8_read_before(text.bytes, text.bytes + begin))) break;
    begin--;
    while (((unsigned char)text.bytes[begin] & 0xC0) == 0x80) begin--;
  }
  return begin > done ? begin : done;
}

static int64_t skip_right(span text, int64_t end) {
  while (end < text.count && unicode_is_space(utf8_read(text.bytes + end)))
    end += utf8_length((unsigned char)text.bytes[end]);
  return end;
}

/* The next place where the longest token begins; false: there is none. */
static bool find_token(const added_tokens *self, bool is_normalized, span text, match *found,
                       const added_token **token) {
  const prefix_tree *tree = is_normalized ? &self->normalized : &self->raw;
  const bool *first = is_normalized ? self->normalized_first : self->raw_first;
  for (int64_t at = found->end; at < text.count; at++) {
    int64_t count;
    if (!first[(unsigned char)text.bytes[at]]) continue;
    const int32_t i = prefix_tree_find(tree, (span){text.bytes + at, text.count - at}, &count);
    if (i < 0) continue;
    *found = (match){at, at + count, true};
    *token = &self->items[i];
    return true;
  }
  return false;
}

/* The white space that a token takes belongs to no piece; a match inside of it counts all the same,
 * as in the reference. */
static void cut_piece(const added_tokens *self, bool is_normalized, piece of, span text,
                      pieces *to) {
  match found = {0};
  const added_token *token;
  int64_t done = 0;
  while (find_token(self, is_normalized, text, &found, &token)) {
    int64_t begin = found.begin, end = found.end;
    if (token->is_word && !is_alone(text, begin, end)) continue;
    if (token->strips_left) begin = skip_left(text, begin, done);
    if (token->strips_right) end = skip_right(text, end);
    if (end < begin) end = begin;
    if (begin > done)
      pieces_add(to, (piece){of.begin + done, begin - done, -1, of.is_first && done == 0});
    pieces_add(to, (piece){of.begin + begin, end - begin, token->id, false});
    done = end;
  }
  if (done < text.count)
    pieces_add(to, (piece){of.begin + done, text.count - done, -1, of.is_first && done == 0});
}

void added_tokens_cut(const added_tokens *self, bool is_normalized, pieces *text) {
  if (is_normalized ? !self->has_normalized : !self->has_raw) return;
  pieces to = {0};
  for (int64_t i = 0; i < text->count; i++) {
    if (text->items[i].token >= 0)
      pieces_add(&to, text->items[i]);
    else
      cut_piece(self, is_normalized, text->items[i], pieces_get(text, i), &to);
  }
  to.bytes = text->bytes;
  text->bytes = (buffer){0};
  pieces_replace(text, &to);
  pieces_clear(&to);
}
