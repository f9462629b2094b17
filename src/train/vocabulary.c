#include "vocabulary.h"

#include "espalier/core/memory.h"
#include "espalier/flow/text_samples.h"
#include "espalier/io/file.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* A tokenizer.json, and its tokens by id; NULL: it has none of this id. */
typedef struct vocabulary {
  char *path, *text;
  int64_t bytes, n;
  json_t *json;
  const char **token; // (n), borrowed from json
} vocabulary;

static void clear(vocabulary *self) {
  json_decref(self->json);
  esp_free(&self->token);
  esp_free(&self->text);
  esp_free(&self->path);
}

static void set_token(vocabulary *self, const json_t *id, const char *token) {
  if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= self->n)
    return;
  self->token[json_integer_value(id)] = token;
}

/* {"token": id}, or [["token", score]]. */
static void list_model(vocabulary *self, json_t *tokens) {
  const char *token;
  json_t *id;
  for (size_t i = 0; i < json_array_size(tokens) && (int64_t)i < self->n; i++)
    self->token[i] = json_string_value(json_array_get(json_array_get(tokens, i), 0));
  json_object_foreach(tokens, token, id) set_token(self, id, token);
}

static void list_added(vocabulary *self, const json_t *added) {
  for (size_t i = 0; i < json_array_size(added); i++) {
    const json_t *row = json_array_get(added, i);
    set_token(self, json_object_get(row, "id"), json_string_value(json_object_get(row, "content")));
  }
}

/* Whether there is a file that can be read. */
static bool read_file(const esp_model *model, vocabulary *self) {
  esp_comm alone;
  esp_comm_init_local(&alone);
  const esp_status status = esp_find_tokenizer(&alone, model, &self->path);
  esp_comm_clear(&alone);
  return status == ESP_OK && esp_file_read_local(self->path, &self->text, &self->bytes) == ESP_OK;
}

/* Whether it is JSON with tokens. */
static bool parse(vocabulary *self, int64_t n) {
  self->json = json_loadb(self->text, (size_t)self->bytes, JSON_ALLOW_NUL, NULL);
  json_t *tokens = json_object_get(json_object_get(self->json, "model"), "vocab");
  if (!tokens) return false;
  self->n = n;
  self->token = ESP_NEW(const char *, n);
  list_model(self, tokens);
  list_added(self, json_object_get(self->json, "added_tokens"));
  return true;
}

static bool is_same(const vocabulary *mine, const vocabulary *other, int32_t id) {
  const char *a = mine->token[id], *b = other->token[id];
  return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The first token of the data that differs; -1: none. */
static int32_t find_other(const vocabulary *mine, const vocabulary *other,
                          const esp_dataset *data) {
  for (int64_t i = 0; i < data->count; i++) {
    const int64_t length = data->lengths ? data->lengths[i] : data->width;
    const int32_t *row = data->tokens + i * data->width;
    for (int64_t k = 0; k < length; k++)
      if (row[k] < mine->n && !is_same(mine, other, row[k])) return row[k];
  }
  return -1;
}

static const char *say(const char *token) {
  return token ? token : "";
}

static esp_status compare(const vocabulary *mine, const vocabulary *other, const esp_model *model,
                          const esp_model *teacher, const esp_dataset *data) {
  const int32_t id = find_other(mine, other, data);
  if (id < 0) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected a teacher with the tokenizer of %s, found another: token %" PRId32
                  " of the data is '%.40s' in %s and '%.40s' in %s; give a teacher of the same "
                  "tokenizer",
                  teacher->path, model->path, id, say(mine->token[id]), mine->path,
                  say(other->token[id]), other->path);
}

static esp_status check_local(const esp_model *model, const esp_model *teacher,
                              const esp_dataset *data) {
  vocabulary mine = {0}, other = {0};
  esp_status status = ESP_OK;
  const bool are_there = read_file(model, &mine) && read_file(teacher, &other);
  const bool are_equal = are_there && mine.bytes == other.bytes &&
                         memcmp(mine.text, other.text, (size_t)mine.bytes) == 0;
  if (are_there && !are_equal && parse(&mine, model->vocabulary) &&
      parse(&other, model->vocabulary))
    status = compare(&mine, &other, model, teacher, data);
  clear(&mine);
  clear(&other);
  return status;
}

esp_status vocabulary_check_teacher(const esp_comm *comm, const esp_model *model,
                                    const esp_model *teacher, const esp_dataset *data) {
  if (data->kind != ESP_DATA_TOKENS || !data->tokens || !model->path) return ESP_OK;
  return esp_agree(comm, comm->rank == 0 ? check_local(model, teacher, data) : ESP_OK);
}
