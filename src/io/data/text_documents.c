#include "text_documents.h"

#include "espalier/core/memory.h"
#include "espalier/io/file.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static void add_document(text_documents *to, text_document item) {
  if (to->count == to->room) {
    const int64_t room = to->room > 0 ? 2 * to->room : 64;
    text_document *items = ESP_NEW(text_document, room);
    if (to->count > 0) memcpy(items, to->items, (size_t)to->count * sizeof *items);
    esp_free(&to->items);
    to->items = items;
    to->room = room;
  }
  to->items[to->count++] = item;
  to->bytes += item.count;
}

static bool is_blank(const char *bytes, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!memchr(" \t\r", bytes[i], 3)) return false;
  return true;
}

/* Lines that are not blank. */
static void add_lines(text_documents *to, int file, int64_t bytes) {
  const char *text = to->files[file];
  int64_t line = 1;
  for (int64_t at = 0; at < bytes; line++) {
    const char *end = memchr(text + at, '\n', (size_t)(bytes - at));
    const int64_t count = end ? end - text - at : bytes - at;
    if (!is_blank(text + at, count))
      add_document(to, (text_document){text + at, count, line, file});
    at += count + 1;
  }
}

static esp_status read_file(const esp_comm *comm, text_documents *to, int file) {
  int64_t bytes;
  ESP_TRY(esp_file_read(comm, to->names.name[file], &to->files[file], &bytes));
  if (text_name_is_json(to->names.name[file]))
    add_lines(to, file, bytes);
  else
    add_document(to, (text_document){to->files[file], bytes, 0, file});
  return ESP_OK;
}

/* Rank 0 looks into folders, for all. */
static esp_status share_names(const esp_comm *comm, const esp_text_source *source,
                              text_names *names) {
  const esp_status mine =
      comm->rank == 0 ? text_names_list(source->data, source->split, names) : ESP_OK;
  ESP_TRY(esp_agree(comm, mine));
  esp_bcast(comm, &names->count, sizeof names->count, 0);
  if (comm->rank != 0) names->name = ESP_NEW(char *, names->count);
  for (int i = 0; i < names->count; i++) esp_bcast_text(comm, &names->name[i], 0);
  return ESP_OK;
}

esp_status text_documents_read(const esp_comm *comm, const esp_text_source *source,
                               text_documents *documents) {
  ESP_TRY(share_names(comm, source, &documents->names));
  documents->files = ESP_NEW(char *, documents->names.count);
  for (int i = 0; i < documents->names.count; i++) ESP_TRY(read_file(comm, documents, i));
  return ESP_OK;
}

void text_documents_clear(text_documents *self) {
  for (int i = 0; self->files && i < self->names.count; i++) esp_free(&self->files[i]);
  esp_free(&self->files);
  esp_free(&self->items);
  text_names_clear(&self->names);
  *self = (text_documents){0};
}

static esp_status fail_line(const text_documents *of, const text_document *item,
                            const char *found) {
  return esp_fail(ESP_FORMAT,
                  "%s: line %" PRId64
                  ": a JSON object with \"text\" and, if wanted, an integer \"label\" from 0 up is "
                  "expected, found %s",
                  of->names.name[item->file], item->line, found);
}

static esp_status read_label(const text_documents *of, const text_document *item, const json_t *row,
                             int32_t *label) {
  const json_t *found = json_object_get(row, "label");
  *label = -1;
  if (!found || json_is_null(found)) return ESP_OK;
  if (!json_is_integer(found)) return fail_line(of, item, "a label that is no integer");
  const json_int_t value = json_integer_value(found);
  if (value < 0 || value >= INT32_MAX) return fail_line(of, item, "a label out of range");
  *label = (int32_t)value;
  return ESP_OK;
}

/* One document's tokens behind the others of this rank. */
static esp_status encode_text(esp_tokenizer *tokenizer, const text_documents *of,
                              const text_document *item, const char *text, int64_t bytes,
                              text_tokens *to) {
  const esp_text_size size = esp_text_measure(text, bytes);
  to->words += size.words;
  to->bytes += size.bytes;
  const esp_status status = esp_tokenizer_encode(tokenizer, text, bytes, false, &to->ids);
  return status == ESP_OK
             ? ESP_OK
             : esp_fail(status, "%s: %s", of->names.name[item->file], esp_failure_text());
}

static esp_status encode_line(esp_tokenizer *tokenizer, const text_documents *of,
                              const text_document *item, text_tokens *to, int32_t *label) {
  json_error_t error;
  json_t *row = json_loadb(item->bytes, (size_t)item->count, JSON_ALLOW_NUL, &error);
  if (!row) return fail_line(of, item, error.text);
  const json_t *text = json_object_get(row, "text");
  esp_status status =
      json_is_string(text) ? read_label(of, item, row, label) : fail_line(of, item, "none");
  if (status == ESP_OK)
    status = encode_text(tokenizer, of, item, json_string_value(text),
                         (int64_t)json_string_length(text), to);
  json_decref(row);
  return status;
}

static esp_status encode_local(esp_tokenizer *tokenizer, const text_documents *of,
                               const int64_t range[2], text_tokens *to) {
  for (int64_t i = range[0]; i < range[1]; i++) {
    const text_document *item = &of->items[i];
    const int64_t before = to->ids.count;
    to->labels[i] = -1;
    if (item->line > 0)
      ESP_TRY(encode_line(tokenizer, of, item, to, &to->labels[i]));
    else
      ESP_TRY(encode_text(tokenizer, of, item, item->bytes, item->count, to));
    to->counts[i] = to->ids.count - before;
  }
  return ESP_OK;
}

/* The first document of a rank: as many bytes are before it as ranks before it should have. */
static int64_t find_begin(const text_documents *of, int64_t ranks, int64_t rank) {
  const double share = (double)of->bytes / (double)ranks;
  int64_t before = 0;
  for (int64_t i = 0; i < of->count; i++) {
    if ((double)before >= share * (double)rank) return i;
    before += of->items[i].count;
  }
  return of->count;
}

/* Give all ranks what each has, in the order of ranks. */
static void share_tokens(const esp_comm *comm, const text_documents *of, text_tokens *to) {
  int64_t *counts = ESP_NEW(int64_t, comm->size), all = 0, at = 0;
  esp_allgather_i64(comm, ESP_GATHER, to->ids.count, counts);
  for (int r = 0; r < comm->size; r++) all += counts[r];
  esp_token_ids ids = {ESP_NEW(int32_t, all), all, all};
  for (int r = 0; r < comm->size; r++) {
    const int64_t begin = find_begin(of, comm->size, r),
                  end = r + 1 < comm->size ? find_begin(of, comm->size, r + 1) : of->count;
    if (r == comm->rank && counts[r] > 0)
      memcpy(ids.id + at, to->ids.id, (size_t)counts[r] * sizeof *ids.id);
    esp_bcast(comm, ids.id + at, counts[r] * (int64_t)sizeof *ids.id, r);
    esp_bcast(comm, to->counts + begin, (end - begin) * (int64_t)sizeof *to->counts, r);
    esp_bcast(comm, to->labels + begin, (end - begin) * (int64_t)sizeof *to->labels, r);
    at += counts[r];
  }
  esp_token_ids_clear(&to->ids);
  to->ids = ids;
  esp_free(&counts);
}

static esp_status check_labels(const text_documents *of, text_tokens *to) {
  int64_t n = 0;
  for (int64_t i = 0; i < of->count; i++) n += to->labels[i] >= 0;
  to->has_labels = n > 0;
  if (n == 0 || n == of->count) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s: a label for every document or for none is expected, found %" PRId64
                  " of %" PRId64,
                  of->names.name[0], n, of->count);
}

esp_status text_tokens_encode(const esp_comm *comm, esp_tokenizer *tokenizer,
                              const text_documents *documents, text_tokens *tokens) {
  const int64_t range[2] = {find_begin(documents, comm->size, comm->rank),
                            comm->rank + 1 < comm->size
                                ? find_begin(documents, comm->size, comm->rank + 1)
                                : documents->count};
  tokens->counts = ESP_NEW(int64_t, documents->count);
  tokens->labels = ESP_NEW(int32_t, documents->count);
  ESP_TRY(esp_agree(comm, encode_local(tokenizer, documents, range, tokens)));
  share_tokens(comm, documents, tokens);
  tokens->words = esp_agree_sum_i64(comm, tokens->words);
  tokens->bytes = esp_agree_sum_i64(comm, tokens->bytes);
  return check_labels(documents, tokens);
}

void text_tokens_clear(text_tokens *self) {
  esp_token_ids_clear(&self->ids);
  esp_free(&self->counts);
  esp_free(&self->labels);
  *self = (text_tokens){0};
}
