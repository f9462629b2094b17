#include "added_tokens.h"
#include "cache.h"
#include "decoders.h"
#include "merges.h"
#include "models.h"
#include "normalizers.h"
#include "post_processors.h"
#include "pre_tokenizers.h"
#include "unicode.h"

#include "espalier/core/hash.h"
#include "espalier/core/memory.h"

struct esp_tokenizer {
  char *name;
  uint64_t fingerprint;
  bool has_normalizer, has_pre_tokenizer, has_decoder;
  normalizer normal;
  added_tokens added;
  pre_tokenizer split;
  model model;
  post_processor post;
  decoder decoder;
  cache cache;
};

/* A part of the file under its name for messages; false: it is null, or not there. */
static bool open_part(const esp_tokenizer *self, const json_t *root, const char *key, char **name,
                      json_place *place) {
  const json_t *found = json_object_get(root, key);
  if (!found || json_is_null(found)) return false;
  *name = esp_format("%s: %s", self->name, key);
  *place = (json_place){*name, found};
  return true;
}

static esp_status read_normalizer(esp_tokenizer *self, const json_t *root) {
  char *name;
  json_place place;
  self->has_normalizer = open_part(self, root, "normalizer", &name, &place);
  if (!self->has_normalizer) return ESP_OK;
  const esp_status status = normalizer_read(&place, 0, &self->normal);
  esp_free(&name);
  return status;
}

static esp_status read_pre_tokenizer(esp_tokenizer *self, const json_t *root) {
  char *name;
  json_place place;
  self->has_pre_tokenizer = open_part(self, root, "pre_tokenizer", &name, &place);
  if (!self->has_pre_tokenizer) return ESP_OK;
  const esp_status status = pre_tokenizer_read(&place, 0, &self->split);
  esp_free(&name);
  return status;
}

static esp_status read_post_processor(esp_tokenizer *self, const json_t *root) {
  char *name;
  json_place place;
  if (!open_part(self, root, "post_processor", &name, &place)) return ESP_OK;
  const esp_status status =
      post_processor_read(&place, 0, esp_tokenizer_count_ids(self), &self->post);
  esp_free(&name);
  return status;
}

static esp_status read_decoder(esp_tokenizer *self, const json_t *root) {
  char *name;
  json_place place;
  self->has_decoder = open_part(self, root, "decoder", &name, &place);
  if (!self->has_decoder) return ESP_OK;
  const esp_status status = decoder_read(&place, 0, &self->decoder);
  esp_free(&name);
  return status;
}

static esp_status read_model(esp_tokenizer *self, const json_t *root) {
  char *name = NULL;
  json_place place;
  if (!open_part(self, root, "model", &name, &place))
    return esp_fail(ESP_FORMAT,
                    "%s: model: an object is expected, found nothing; take another file",
                    self->name);
  const esp_status status = model_read(&place, &self->model);
  esp_free(&name);
  return status;
}

static esp_status read_parts(esp_tokenizer *self, const json_t *root) {
  const json_place place = {self->name, root};
  if (!json_is_object(root))
    return esp_fail(ESP_FORMAT, "%s: an object is expected, found another value; take another file",
                    self->name);
  ESP_TRY(read_model(self, root));
  ESP_TRY(read_normalizer(self, root));
  ESP_TRY(added_tokens_read(&place, &self->model.vocabulary,
                            self->has_normalizer ? &self->normal : NULL, &self->added));
  ESP_TRY(read_pre_tokenizer(self, root));
  ESP_TRY(read_post_processor(self, root));
  return read_decoder(self, root);
}

esp_status esp_tokenizer_new(const char *json, int64_t bytes, const char *name,
                             esp_tokenizer **tokenizer) {
  json_error_t error;
  *tokenizer = NULL;
  json_t *root = json_loadb(json, (size_t)bytes, JSON_ALLOW_NUL, &error);
  if (!root)
    return esp_fail(ESP_FORMAT,
                    "%s: JSON is expected, found an error in line %d: %s; take another file", name,
                    error.line, error.text);
  esp_tokenizer *self = ESP_NEW(esp_tokenizer, 1);
  self->name = esp_strdup(name);
  self->fingerprint = esp_hash(0, json, (size_t)bytes);
  const esp_status status = read_parts(self, root);
  json_decref(root);
  if (status != ESP_OK) esp_tokenizer_free(&self);
  *tokenizer = self;
  return status;
}

void esp_tokenizer_free(esp_tokenizer **tokenizer) {
  esp_tokenizer *self = *tokenizer;
  if (!self) return;
  esp_free(&self->name);
  normalizer_clear(&self->normal);
  added_tokens_clear(&self->added);
  pre_tokenizer_clear(&self->split);
  model_clear(&self->model);
  post_processor_clear(&self->post);
  decoder_clear(&self->decoder);
  cache_clear(&self->cache);
  esp_free(tokenizer);
}

/* Every piece that is no token through the normalizer. */
static esp_status normalize(const esp_tokenizer *self, pieces *text) {
  pieces to = {0};
  normal_text one = {0};
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < text->count && status == ESP_OK; i++) {
    piece item = text->items[i];
    const int64_t begin = to.bytes.count;
    one.is_cut = false;
    if (item.token < 0) status = normalizer_apply(&self->normal, pieces_get(text, i), &one);
    buffer_add(&to.bytes, item.token < 0 ? buffer_span(&one.bytes) : (span){NULL, 0});
    item.begin = begin;
    item.count = to.bytes.count - begin;
    item.is_first = item.is_first && !one.is_cut;
    pieces_add(&to, item);
  }
  pieces_replace(text, &to);
  pieces_clear(&to);
  buffer_clear(&one.bytes);
  return status;
}

static esp_status encode_word(esp_tokenizer *self, span word, esp_token_ids *ids) {
  const int64_t before = ids->count;
  if (word.count > MOST_CACHED_BYTES) return self->model.kind->encode(&self->model, word, ids);
  const uint64_t hash = esp_hash(0, word.bytes, (size_t)word.count);
  if (cache_get(&self->cache, word, hash, ids)) return ESP_OK;
  ESP_TRY(self->model.kind->encode(&self->model, word, ids));
  cache_put(&self->cache, word, hash, ids, before);
  return ESP_OK;
}

/* A long piece of a BPE is cut where no merge joins, and its parts are words. */
static esp_status encode_piece(esp_tokenizer *self, span text, esp_token_ids *ids) {
  enum { LONG_BYTES = 64 };
  const model *of = &self->model;
  if (text.count <= LONG_BYTES || of->kind != &model_bpe) return encode_word(self, text, ids);
  if (of->ignores_merges && vocabulary_find(&of->vocabulary, text) >= 0)
    return encode_word(self, text, ids);
  if (of->ignores_merges) return self->model.kind->encode(&self->model, text, ids);
  while (text.count > 0) {
    const span front = {text.bytes, bpe_count_front(of, text)};
    ESP_TRY(encode_word(self, front, ids));
    text = (span){text.bytes + front.count, text.count - front.count};
  }
  return ESP_OK;
}

static esp_status encode_pieces(esp_tokenizer *self, const pieces *text, esp_token_ids *ids) {
  for (int64_t i = 0; i < text->count; i++) {
    if (text->items[i].token >= 0)
      esp_token_ids_add(ids, text->items[i].token);
    else
      ESP_TRY(encode_piece(self, pieces_get(text, i), ids));
  }
  return ESP_OK;
}

static esp_status encode(esp_tokenizer *self, pieces *text, esp_token_ids *ids) {
  pieces_add(text, (piece){0, text->bytes.count, -1, true});
  added_tokens_cut(&self->added, false, text);
  if (self->has_normalizer) ESP_TRY(normalize(self, text));
  added_tokens_cut(&self->added, true, text);
  if (self->has_pre_tokenizer) ESP_TRY(pre_tokenizer_apply(&self->split, text));
  return encode_pieces(self, text, ids);
}

esp_status esp_tokenizer_encode(esp_tokenizer *self, const char *text, int64_t bytes,
                                bool with_special, esp_token_ids *ids) {
  pieces work = {0};
  const int64_t first = ids->count;
  utf8_add_repaired(&work.bytes, (span){text, bytes});
  const esp_status status = encode(self, &work, ids);
  pieces_clear(&work);
  if (status == ESP_OK && with_special) post_processor_apply(&self->post, first, ids);
  return status;
}

int64_t esp_tokenizer_count_special(const esp_tokenizer *self) {
  esp_token_ids none = {0};
  post_processor_apply(&self->post, 0, &none);
  const int64_t count = none.count;
  esp_token_ids_clear(&none);
  return count;
}

void esp_tokenizer_add_special(const esp_tokenizer *self, int64_t first, esp_token_ids *ids) {
  post_processor_apply(&self->post, first, ids);
}

/* The text of an id for decoders; false: it has none, or is special and left out. */
static bool find_text(const esp_tokenizer *self, int32_t id, bool with_special, span *text) {
  const added_token *added = added_tokens_get(&self->added, id);
  if (added && added->is_special && !with_special) return false;
  if (added) *text = buffer_span(&added->normal);
  return added || vocabulary_get(&self->model.vocabulary, id, text);
}

static void join(const esp_tokenizer *self, const pieces *of, buffer *to) {
  for (int64_t i = 0; i < of->count; i++) {
    if (i > 0 && !self->has_decoder) buffer_add_char(to, ' ');
    buffer_add(to, pieces_get(of, i));
  }
}

esp_status esp_tokenizer_decode(esp_tokenizer *self, const int32_t *ids, int64_t count,
                                bool with_special, char **text, int64_t *bytes) {
  pieces work = {0};
  buffer to = {0};
  span token;
  *text = NULL;
  for (int64_t i = 0; i < count; i++)
    if (find_text(self, ids[i], with_special, &token)) decoder_add(&work, token);
  const esp_status status =
      self->has_decoder && work.count > 0 ? decoder_apply(&self->decoder, &work) : ESP_OK;
  if (status == ESP_OK) {
    join(self, &work, &to);
    *bytes = to.count;
    buffer_add(&to, (span){"", 1});
    *text = to.bytes;
  }
  pieces_clear(&work);
  return status;
}

int32_t esp_tokenizer_count_ids(const esp_tokenizer *self) {
  const int32_t n = self->model.vocabulary.n_ids;
  return n > self->added.n_ids ? n : self->added.n_ids;
}

int32_t esp_tokenizer_find(const esp_tokenizer *self, const char *content) {
  const added_token *added = added_tokens_find(&self->added, span_of(content));
  return added ? added->id : vocabulary_find(&self->model.vocabulary, span_of(content));
}

const char *esp_tokenizer_get_model(const esp_tokenizer *self) {
  return self->model.kind->name;
}

uint64_t esp_tokenizer_get_fingerprint(const esp_tokenizer *self) {
  return self->fingerprint;
}
