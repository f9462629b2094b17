/* Tokens of documents in rows: packed, or a document a row. */
#include "text_documents.h"

#include "espalier/core/memory.h"

#include <inttypes.h>
#include <string.h>

enum { LEAST_CONTEXT = 2 };

static esp_status fail_short(const esp_text_source *source, int64_t tokens, int64_t context) {
  return esp_fail(ESP_USAGE,
                  "%s: expected text for at least one row of %" PRId64 " tokens, found %" PRId64
                  "; give more text, or a smaller --context",
                  source->data, context, tokens);
}

static esp_status check_pack(const esp_text_source *source, const text_documents *documents,
                             const text_tokens *tokens) {
  if (tokens->has_labels)
    return esp_fail(ESP_USAGE,
                    "%s: labels belong to documents, and rows are packed from many; give --pad, "
                    "which makes a row of each, or leave the labels out",
                    source->data);
  if (documents->count < 2 || source->end_token >= 0) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "%s: expected an end token to stand between documents, found neither eos_token "
                  "nor sep_token in tokenizer_config.json, nor eos_token_id in config.json; give "
                  "--pad",
                  source->data);
}

/* All documents one behind the other, an end token between them. */
static int32_t *join(const esp_text_source *source, const text_documents *documents,
                     const text_tokens *tokens, int64_t total) {
  int32_t *joined = ESP_NEW(int32_t, total);
  int64_t from = 0, to = 0;
  for (int64_t i = 0; i < documents->count; i++) {
    const int64_t count = tokens->counts[i];
    if (count > 0) memcpy(joined + to, tokens->ids.id + from, (size_t)count * sizeof *joined);
    from += count;
    to += count;
    if (i + 1 < documents->count) joined[to++] = source->end_token;
  }
  return joined;
}

static esp_status pack(const esp_text_source *source, const text_documents *documents,
                       const text_tokens *tokens, esp_dataset *dataset) {
  const int64_t context = source->context > 0 ? source->context : source->most_context,
                total = tokens->ids.count + (documents->count > 0 ? documents->count - 1 : 0);
  ESP_TRY(check_pack(source, documents, tokens));
  if (total < context) return fail_short(source, total, context);
  dataset->width = context;
  dataset->count = total / context;
  dataset->tokens = join(source, documents, tokens, total);
  dataset->text.tokens = total;
  dataset->text.left_out = total % context;
  return ESP_OK;
}

/* How long a document's row would be; 0: it has none. */
static int64_t count_row(const text_tokens *tokens, int64_t special, int64_t i) {
  return tokens->counts[i] > 0 ? tokens->counts[i] + special : 0;
}

/* The width of padded rows, and how many there are. */
static void measure(const esp_text_source *source, const text_documents *documents,
                    const text_tokens *tokens, int64_t special, esp_dataset *dataset) {
  int64_t longest = 0;
  for (int64_t i = 0; i < documents->count; i++) {
    const int64_t row = count_row(tokens, special, i);
    dataset->count += row > 0;
    dataset->text.empty += row == 0;
    dataset->text.tokens += row;
    if (row > longest) longest = row;
  }
  dataset->width = longest < source->most_context ? longest : source->most_context;
  if (source->context > 0) dataset->width = source->context;
}

/* A row that is too long loses the end of its document, not the special tokens. */
static void fill_row(const esp_tokenizer *tokenizer, const int32_t *from, int64_t count,
                     int64_t row, esp_dataset *dataset) {
  const int64_t special = esp_tokenizer_count_special(tokenizer), most = dataset->width - special;
  esp_token_ids ids = {0};
  for (int64_t i = 0; i < count && i < most; i++) esp_token_ids_add(&ids, from[i]);
  esp_tokenizer_add_special(tokenizer, 0, &ids);
  dataset->text.cut += count > most;
  dataset->text.left_out += count > most ? count - most : 0;
  memcpy(dataset->tokens + row * dataset->width, ids.id, (size_t)ids.count * sizeof *ids.id);
  dataset->lengths[row] = (int32_t)ids.count;
  esp_token_ids_clear(&ids);
}

static void fill(const esp_tokenizer *tokenizer, const text_documents *documents,
                 const text_tokens *tokens, esp_dataset *dataset) {
  int64_t from = 0, row = 0;
  dataset->tokens = ESP_NEW(int32_t, dataset->count * dataset->width);
  dataset->lengths = ESP_NEW(int32_t, dataset->count);
  if (tokens->has_labels) dataset->labels = ESP_NEW(int32_t, dataset->count);
  for (int64_t i = 0; i < documents->count; i++) {
    if (tokens->counts[i] == 0) continue;
    fill_row(tokenizer, tokens->ids.id + from, tokens->counts[i], row, dataset);
    if (dataset->labels) dataset->labels[row] = tokens->labels[i];
    from += tokens->counts[i];
    row++;
  }
}

static esp_status pad(const esp_text_source *source, const esp_tokenizer *tokenizer,
                      const text_documents *documents, const text_tokens *tokens,
                      esp_dataset *dataset) {
  const int64_t special = esp_tokenizer_count_special(tokenizer);
  measure(source, documents, tokens, special, dataset);
  if (dataset->count == 0 || dataset->width < LEAST_CONTEXT)
    return fail_short(source, dataset->text.tokens, LEAST_CONTEXT);
  if (dataset->width <= special)
    return esp_fail(ESP_USAGE,
                    "--context %" PRId64 ": expected more than the %" PRId64
                    " special tokens of a document; give a larger one",
                    dataset->width, special);
  fill(tokenizer, documents, tokens, dataset);
  return ESP_OK;
}

esp_status text_rows_fill(const esp_text_source *source, const esp_tokenizer *tokenizer,
                          const text_documents *documents, const text_tokens *tokens,
                          esp_dataset *dataset) {
  dataset->text.files = documents->names.count;
  dataset->text.documents = documents->count;
  dataset->text.words = tokens->words;
  dataset->text.bytes = tokens->bytes;
  if (source->context == 1)
    return esp_fail(ESP_USAGE, "--context 1: expected at least %d tokens, found one",
                    (int)LEAST_CONTEXT);
  return source->pad ? pad(source, tokenizer, documents, tokens, dataset)
                     : pack(source, documents, tokens, dataset);
}
