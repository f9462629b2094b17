#include "pieces.h"

#include "espalier/core/memory.h"

void pieces_add(pieces *self, piece item) {
  if (item.count == 0 && item.token < 0) return;
  if (self->count == self->room) {
    const int64_t room = self->room > 0 ? 2 * self->room : 64;
    piece *items = ESP_NEW(piece, room);
    if (self->count > 0) memcpy(items, self->items, (size_t)self->count * sizeof *items);
    esp_free(&self->items);
    self->items = items;
    self->room = room;
  }
  self->items[self->count++] = item;
}

void pieces_clear(pieces *self) {
  buffer_clear(&self->bytes);
  esp_free(&self->items);
  *self = (pieces){0};
}

void pieces_replace(pieces *self, pieces *other) {
  const pieces old = *self;
  *self = *other;
  *other = old;
  other->count = other->bytes.count = 0;
}

/* By characters, as by a pattern that matches one. */
static void find_characters(const splitter *by, span text, matches *found) {
  int64_t done = 0;
  found->count = 0;
  for (int64_t i = 0; i < text.count;) {
    const int length = utf8_length((unsigned char)text.bytes[i]);
    const uint32_t c = utf8_read(text.bytes + i);
    if (by->is_match ? by->is_match(c) : c == by->character) {
      if (done < i) matches_add(found, (match){done, i, false});
      matches_add(found, (match){i, i + length, true});
      done = i + length;
    }
    i += length;
  }
  if (done < text.count) matches_add(found, (match){done, text.count, false});
}

static void join_contiguous(matches *found) {
  int64_t n = 0;
  bool before = false;
  for (int64_t i = 0; i < found->count; i++) {
    const match of = found->items[i];
    if (n > 0 && of.is_match == before)
      found->items[n - 1].end = of.end;
    else
      found->items[n++] = of;
    before = of.is_match;
  }
  found->count = n;
}

static void join_with_previous(matches *found) {
  int64_t n = 0;
  bool before = false;
  for (int64_t i = 0; i < found->count; i++) {
    const match of = found->items[i];
    if (n > 0 && of.is_match && !before)
      found->items[n - 1].end = of.end;
    else
      found->items[n++] = of;
    before = of.is_match;
  }
  found->count = n;
}

/* From the right, in place: what is joined stands at the end, and is moved to the front. */
static void join_with_next(matches *found) {
  int64_t n = found->count;
  bool before = false;
  for (int64_t i = found->count - 1; i >= 0; i--) {
    const match of = found->items[i];
    if (n < found->count && of.is_match && !before)
      found->items[n].begin = of.begin;
    else
      found->items[--n] = of;
    before = of.is_match;
  }
  found->count -= n;
  memmove(found->items, found->items + n, (size_t)found->count * sizeof *found->items);
}

static void apply_behaviour(const splitter *by, matches *found) {
  for (int64_t i = 0; by->is_inverted && i < found->count; i++)
    found->items[i].is_match = !found->items[i].is_match;
  if (by->behaviour == SPLIT_CONTIGUOUS) join_contiguous(found);
  if (by->behaviour == SPLIT_MERGED_WITH_PREVIOUS) join_with_previous(found);
  if (by->behaviour == SPLIT_MERGED_WITH_NEXT) join_with_next(found);
}

static void add_parts(pieces *to, piece of, const splitter *by, const matches *found) {
  for (int64_t i = 0; i < found->count; i++) {
    const match part = found->items[i];
    if (part.is_match && by->behaviour == SPLIT_REMOVED) continue;
    pieces_add(to, (piece){of.begin + part.begin, part.end - part.begin, -1,
                           of.is_first && part.begin == 0});
  }
}

static esp_status split(const pieces *self, const splitter *by, matches *found, pieces *to) {
  for (int64_t i = 0; i < self->count; i++) {
    if (self->items[i].token >= 0) {
      pieces_add(to, self->items[i]);
      continue;
    }
    if (by->pattern)
      ESP_TRY(pattern_find(by->pattern, pieces_get(self, i), found));
    else
      find_characters(by, pieces_get(self, i), found);
    apply_behaviour(by, found);
    add_parts(to, self->items[i], by, found);
  }
  return ESP_OK;
}

esp_status pieces_split(pieces *self, const splitter *by) {
  matches found = {0};
  pieces to = {0};
  const esp_status status = split(self, by, &found, &to);
  to.bytes = self->bytes;
  self->bytes = (buffer){0};
  pieces_replace(self, &to);
  pieces_clear(&to);
  matches_clear(&found);
  return status;
}
