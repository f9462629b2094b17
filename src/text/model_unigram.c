/* Unigram: of all ways to cut a word into tokens the one with the largest sum of scores (Viterbi);
 * of equal ones the first that is found. Source: huggingface/tokenizers, models/unigram. */
#include "models.h"

#include "espalier/core/memory.h"

#include <inttypes.h>
#include <math.h>

#define UNKNOWN_PENALTY 10.0

static esp_status put_token(const json_place *of, const json_t *item, int32_t id, model *self) {
  const json_t *text = json_array_get(item, 0), *score = json_array_get(item, 1);
  if (json_array_size(item) != 2 || !json_is_string(text) || !json_is_number(score))
    return esp_fail(ESP_FORMAT,
                    "%s: vocab: a token and its score are expected, found something else at %d; "
                    "repair the file",
                    of->name, (int)id);
  const span token = {json_string_value(text), (int64_t)json_string_length(text)};
  ESP_TRY(model_check_token(of, token));
  vocabulary_put(&self->vocabulary, token, id);
  if (token.count > 0) prefix_tree_add(&self->tree, token, id);
  self->scores[id] = json_number_value(score);
  if (self->scores[id] < self->lowest) self->lowest = self->scores[id];
  return ESP_OK;
}

static esp_status read(const json_place *of, model *self) {
  const json_t *all;
  int64_t unknown;
  ESP_TRY(field_array(of, "vocab", &all));
  const int64_t n = (int64_t)json_array_size(all);
  if (n >= 1 << 24)
    return esp_fail(ESP_FORMAT, "%s: vocab: fewer than %d tokens are expected, found %" PRId64,
                    of->name, 1 << 24, n);
  ESP_TRY(field_integer(of, "unk_id", (field_range){0, n - 1, -1}, &unknown));
  ESP_TRY(field_flag(of, "byte_fallback", false, &self->falls_to_bytes));
  vocabulary_init(&self->vocabulary, (int32_t)n, (int32_t)n);
  self->scores = ESP_NEW(double, n);
  self->lowest = INFINITY;
  for (int64_t i = 0; i < n; i++)
    ESP_TRY(put_token(of, json_array_get(all, (size_t)i), (int32_t)i, self));
  self->unknown_id = (int32_t)unknown;
  self->has_unknown = unknown >= 0;
  model_find_bytes(self);
  return ESP_OK;
}

/* The best way to a place: from where, by which token; begin -1: none yet. */
typedef struct step {
  double score;
  int64_t begin;
  int32_t id;
} step;

static void improve(step *to, double score, int64_t begin, int32_t id) {
  if (to->begin < 0 || score > to->score) *to = (step){score, begin, id};
}

/* Take all tokens that begin at a place; whether one of them is its character alone. */
static bool take_tokens(const model *self, span word, int64_t at, int64_t length, step *steps) {
  bool is_single = false;
  int32_t node = PREFIX_ROOT;
  for (int64_t i = at; i < word.count; i++) {
    node = prefix_tree_step(&self->tree, node, (unsigned char)word.bytes[i]);
    if (node == PREFIX_NONE) break;
    const int32_t id = self->tree.values[node];
    if (id < 0) continue;
    improve(&steps[i + 1], self->scores[id] + steps[at].score, at, id);
    if (i + 1 - at == length) is_single = true;
  }
  return is_single;
}

static esp_status find_best(const model *self, span word, step *steps) {
  for (int64_t i = 0; i <= word.count; i++) steps[i] = (step){0.0, -1, 0};
  for (int64_t at = 0; at < word.count;) {
    const int64_t length = utf8_length((unsigned char)word.bytes[at]);
    if (!take_tokens(self, word, at, length, steps)) {
      const double score = self->lowest - UNKNOWN_PENALTY + steps[at].score;
      step *to = &steps[at + length];
      if (to->begin < 0 || score > to->score) {
        if (!self->has_unknown) return model_fail_unknown(self, (span){word.bytes + at, length});
        *to = (step){score, at, self->unknown_id};
      }
    }
    at += length;
  }
  return ESP_OK;
}

/* A part of the word: a token, or unknown characters together, which as a whole may be one too. */
static esp_status add_part(const model *self, span part, esp_token_ids *ids) {
  const int32_t id = vocabulary_find(&self->vocabulary, part);
  bool has_bytes = self->falls_to_bytes;
  for (int64_t i = 0; i < part.count && has_bytes; i++)
    has_bytes = self->byte_ids[(unsigned char)part.bytes[i]] >= 0;
  if (id >= 0) {
    esp_token_ids_add(ids, id);
  } else if (has_bytes) {
    for (int64_t i = 0; i < part.count; i++)
      esp_token_ids_add(ids, self->byte_ids[(unsigned char)part.bytes[i]]);
  } else if (self->has_unknown) {
    esp_token_ids_add(ids, self->unknown_id);
  } else {
    return model_fail_unknown(self, part);
  }
  return ESP_OK;
}

/* Turn the chain of best steps round: steps[begin].begin becomes the end of the part from there;
 * parts of unknown characters that follow each other are one. */
static void turn(const model *self, int64_t count, step *steps) {
  int64_t end = count, joined_end = count;
  bool was_unknown = false;
  while (end > 0) {
    const step of = steps[end];
    const bool is_unknown = of.id == self->unknown_id;
    if (!(is_unknown && was_unknown)) joined_end = end;
    was_unknown = is_unknown;
    end = of.begin;
    steps[end].score =
        (double)joined_end; // the score has served; begin and id are still to be read
  }
}

static esp_status add_parts(const model *self, span word, const step *steps, esp_token_ids *ids) {
  for (int64_t at = 0; at < word.count;) {
    const int64_t end = (int64_t)steps[at].score;
    ESP_TRY(add_part(self, (span){word.bytes + at, end - at}, ids));
    at = end;
  }
  return ESP_OK;
}

static esp_status encode(model *self, span word, esp_token_ids *ids) {
  step *steps = ESP_NEW(step, word.count + 1);
  esp_status status = find_best(self, word, steps);
  if (status == ESP_OK) {
    turn(self, word.count, steps);
    status = add_parts(self, word, steps, ids);
  }
  esp_free(&steps);
  return status;
}

const model_kind model_unigram = {"Unigram", read, encode};
