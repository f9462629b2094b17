#include "models.h"

#include "espalier/core/memory.h"
#include "espalier/core/named.h"

#include <inttypes.h>
#include <stdio.h>

static const model_kind *const kinds[] = {&model_bpe, &model_wordpiece, &model_unigram, NULL};

/* Files of old versions do not say the kind: by the fields that only it has. */
static const char *guess_kind(const json_place *of) {
  if (json_object_get(of->object, "merges")) return "BPE";
  if (json_is_array(json_object_get(of->object, "vocab"))) return "Unigram";
  if (json_object_get(of->object, "max_input_chars_per_word")) return "WordPiece";
  return NULL;
}

static esp_status find_kind(const json_place *of, int *index) {
  const char *guess = guess_kind(of);
  if (json_object_get(of->object, "type") || !guess) return field_kind(of, "model", kinds, index);
  return esp_find_pointer("model", guess, kinds, index);
}

esp_status model_read(const json_place *of, model *self) {
  int i;
  if (!json_is_object(of->object))
    return esp_fail(ESP_FORMAT, "%s: an object is expected, found none; take another file",
                    of->name);
  ESP_TRY(find_kind(of, &i));
  self->kind = kinds[i];
  self->name = esp_strdup(of->name);
  self->unknown_id = -1;
  prefix_tree_init(&self->tree);
  prefix_tree_init(&self->inner);
  return self->kind->read(of, self);
}

void model_clear(model *self) {
  esp_free(&self->name);
  vocabulary_clear(&self->vocabulary);
  buffer_clear(&self->unknown);
  buffer_clear(&self->prefix);
  buffer_clear(&self->suffix);
  merges_free(&self->merges);
  merge_work_free(&self->work);
  prefix_tree_clear(&self->tree);
  prefix_tree_clear(&self->inner);
  esp_free(&self->scores);
  *self = (model){0};
}

esp_status model_check_token(const json_place *of, span token) {
  if (token.count <= MOST_TOKEN_BYTES) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: a token of at most %d bytes is expected, found one of %" PRId64,
                  of->name, (int)MOST_TOKEN_BYTES, token.count);
}

/* Ids may have gaps, but not so many that a table of them is much larger than the file. */
static esp_status check_id(const json_place *of, const char *token, const json_t *id,
                           int64_t most) {
  if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < most)
    return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: vocab: '%.*s': an id from 0 to %" PRId64 " is expected, found %s%" PRId64
                  "; repair the file",
                  of->name, span_shown(span_of(token)), token, most - 1,
                  json_is_integer(id) ? "" : "no integer ", (int64_t)json_integer_value(id));
}

static esp_status put_token(const json_place *of, const char *token, int64_t id, model *self) {
  span before;
  ESP_TRY(model_check_token(of, span_of(token)));
  if (vocabulary_get(&self->vocabulary, (int32_t)id, &before))
    return esp_fail(ESP_FORMAT,
                    "%s: vocab: an id for each token is expected, found %" PRId64
                    " for '%.*s' and '%.*s'; repair the file",
                    of->name, id, span_shown(before), before.bytes, span_shown(span_of(token)),
                    token);
  vocabulary_put(&self->vocabulary, span_of(token), (int32_t)id);
  return ESP_OK;
}

esp_status model_read_vocabulary(const json_place *of, model *self) {
  const json_t *all = json_object_get(of->object, "vocab");
  const int64_t n = (int64_t)json_object_size(all), most = 4 * n + 65536;
  int64_t largest = -1;
  const char *token;
  json_t *id;
  if (!json_is_object(all) || n >= 1 << 24)
    return esp_fail(ESP_FORMAT,
                    "%s: vocab: an object of at most %d tokens is expected, found %" PRId64
                    "; repair the file",
                    of->name, (1 << 24) - 1, n);
  json_object_foreach((json_t *)(uintptr_t)all, token, id) {
    ESP_TRY(check_id(of, token, id, most));
    if (json_integer_value(id) > largest) largest = json_integer_value(id);
  }
  vocabulary_init(&self->vocabulary, (int32_t)n, (int32_t)largest + 1);
  json_object_foreach((json_t *)(uintptr_t)all, token, id)
      ESP_TRY(put_token(of, token, json_integer_value(id), self));
  return ESP_OK;
}

void model_find_bytes(model *self) {
  for (int byte = 0; byte < 256; byte++) {
    char name[8];
    snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
    self->byte_ids[byte] = vocabulary_find(&self->vocabulary, span_of(name));
  }
}

esp_status model_fail_unknown(const model *self, span word) {
  return esp_fail(ESP_FORMAT,
                  "%s: the text has '%.*s', for which there is no token, and the file has no "
                  "unknown token in its vocabulary; use another tokenizer file",
                  self->name, span_shown(word), word.bytes);
}
