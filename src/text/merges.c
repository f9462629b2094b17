#include "merges.h"

#include "espalier/core/memory.h"

#include <inttypes.h>

static uint64_t make_pair(int32_t left, int32_t right) {
  return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

static uint64_t scramble(uint64_t key) {
  key ^= key >> 32;
  key *= 0x9E3779B97F4A7C15u;
  return key ^ key >> 29;
}

static merge *find_place(const merges *self, uint64_t pair) {
  const uint64_t mask = (uint64_t)self->n_items - 1;
  uint64_t at = scramble(pair) & mask;
  while (self->items[at].pair != 0 && self->items[at].pair != pair) at = (at + 1) & mask;
  return &self->items[at];
}

const merge *merges_find(const merges *self, int32_t left, int32_t right) {
  const merge *found = find_place(self, make_pair(left, right));
  return found->pair == 0 ? NULL : found;
}

static uint64_t find_seam(const merges *self, uint32_t a, uint32_t b) {
  return scramble((uint64_t)a << 32 | b) & ((uint64_t)self->n_seams * 64 - 1);
}

bool merges_may_join(const merges *self, uint32_t a, uint32_t b) {
  const uint64_t seam = find_seam(self, a, b);
  return self->seams[seam / 64] >> seam % 64 & 1;
}

static void put_seam(merges *self, span left, span right) {
  if (left.count == 0 || right.count == 0) return;
  const uint64_t seam = find_seam(self, utf8_read_before(left.bytes, left.bytes + left.count),
                                  utf8_read(right.bytes));
  self->seams[seam / 64] |= 1ull << seam % 64;
}

/* "a b", or ["a", "b"]. */
static bool split_merge(const json_t *item, span *left, span *right) {
  const json_t *a = json_array_get(item, 0), *b = json_array_get(item, 1);
  if (json_array_size(item) == 2 && json_is_string(a) && json_is_string(b)) {
    *left = (span){json_string_value(a), (int64_t)json_string_length(a)};
    *right = (span){json_string_value(b), (int64_t)json_string_length(b)};
    return true;
  }
  if (!json_is_string(item)) return false;
  const span all = {json_string_value(item), (int64_t)json_string_length(item)};
  const char *space = memchr(all.bytes, ' ', (size_t)all.count);
  if (!space) return false;
  *left = (span){all.bytes, space - all.bytes};
  *right = (span){space + 1, all.count - left->count - 1};
  return !memchr(right->bytes, ' ', (size_t)right->count);
}

static esp_status fail_merge(const json_place *of, size_t rank, const char *what, span token) {
  return esp_fail(
      ESP_FORMAT,
      "%s: merges: two tokens of the vocabulary that together are a third are expected, "
      "found %s'%.*s' at %zu; repair the file",
      of->name, what, span_shown(token), token.count > 0 ? token.bytes : "", rank);
}

static esp_status join(const json_place *of, size_t rank, const model *self, const span *two,
                       buffer *joined) {
  const int64_t front = self->prefix.count;
  joined->count = 0;
  if (two[1].count < front || two[0].count + two[1].count > 2 * MOST_TOKEN_BYTES)
    return fail_merge(of, rank, "a length that does not fit, of ", two[1]);
  buffer_add(joined, two[0]);
  buffer_add(joined, (span){two[1].bytes + front, two[1].count - front});
  return ESP_OK;
}

static esp_status put_merge(const json_place *of, size_t rank, const json_t *item, model *self,
                            buffer *joined) {
  span two[2];
  if (!split_merge(item, &two[0], &two[1]))
    return fail_merge(of, rank, "something else", (span){NULL, 0});
  ESP_TRY(join(of, rank, self, two, joined));
  const int32_t left = vocabulary_find(&self->vocabulary, two[0]),
                right = vocabulary_find(&self->vocabulary, two[1]),
                made = vocabulary_find(&self->vocabulary, buffer_span(joined));
  if (left < 0 || right < 0) return fail_merge(of, rank, "no token ", left < 0 ? two[0] : two[1]);
  if (made < 0) return fail_merge(of, rank, "no token ", buffer_span(joined));
  const uint64_t pair = make_pair(left, right);
  *find_place(self->merges, pair) = (merge){pair, (int32_t)rank, made};
  put_seam(self->merges, two[0], two[1]);
  return ESP_OK;
}

static merges *make(int64_t n) {
  merges *self = ESP_NEW(merges, 1);
  self->n_items = 16;
  while (self->n_items < 2 * n) self->n_items *= 2;
  self->items = ESP_NEW(merge, self->n_items);
  self->n_seams = self->n_items / 4;
  self->seams = ESP_NEW(uint64_t, self->n_seams);
  return self;
}

esp_status merges_read(const json_place *of, model *self) {
  const json_t *all;
  ESP_TRY(field_array(of, "merges", &all));
  const size_t n = json_array_size(all);
  if (n >= 1u << 25)
    return esp_fail(ESP_FORMAT, "%s: at most %u merges are expected, found %zu", of->name, 1u << 25,
                    n);
  self->merges = make((int64_t)n);
  buffer joined = {0};
  esp_status status = ESP_OK;
  for (size_t i = 0; i < n && status == ESP_OK; i++)
    status = put_merge(of, i, json_array_get(all, i), self, &joined);
  buffer_clear(&joined);
  return status;
}

void merges_free(merges **pointer) {
  merges *self = *pointer;
  if (!self) return;
  esp_free(&self->items);
  esp_free(&self->seams);
  esp_free(pointer);
}
