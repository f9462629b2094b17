#include "espalier/flow/text_samples.h"

#include "espalier/core/json.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/io/h5.h"
#include "espalier/model/family.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* A file in a folder, or beside a file. */
static char *name_beside(const char *path, const char *name) {
  if (is_folder(path)) return esp_format("%s/%s", path, name);
  const char *slash = strrchr(path, '/');
  return slash ? esp_format("%.*s/%s", (int)(slash - path), path, name) : esp_strdup(name);
}

/* The tokenizer in a folder, or beside a file; NULL: there is none. */
static char *find_beside(const char *path) {
  char *found = path ? name_beside(path, "tokenizer.json") : NULL;
  if (found && access(found, R_OK) != 0) esp_free(&found);
  return found;
}

/* What a pruned model was cut from; NULL: nothing says it. */
static char *read_origin(const char *details) {
  json_t *report = details ? json_loads(details, 0, NULL) : NULL;
  char *path = esp_json_bytes(json_object_get(report, "model_path"));
  json_decref(report);
  return path;
}

/* The report of a pruned file; NULL: it has none, or is no such file. */
static char *read_details(const char *path) {
  esp_comm self;
  esp_h5 *file;
  char *details = NULL;
  if (is_folder(path)) return NULL;
  esp_comm_init_local(&self);
  if (esp_h5_open(&self, path, &file) == ESP_OK) {
    if (esp_h5_has(file, "/report") && esp_h5_read_text(file, "/report", &details) != ESP_OK)
      details = NULL;
    esp_h5_close(&file);
  }
  esp_comm_clear(&self);
  return details;
}

/* With the model that it was cut from, which may have been cut itself; then beside its own file. */
static char *find_local(const esp_model *model) {
  enum { MOST_CUTS = 16 };
  char *origin = read_origin(model->details), *found = find_beside(origin);
  for (int i = 0; i < MOST_CUTS && origin && !found; i++) {
    char *details = read_details(origin);
    esp_free(&origin);
    origin = read_origin(details);
    found = find_beside(origin);
    esp_free(&details);
  }
  esp_free(&origin);
  return found ? found : find_beside(model->path);
}

esp_status esp_find_tokenizer(const esp_comm *comm, const esp_model *model, char **path) {
  *path = comm->rank == 0 ? find_local(model) : NULL;
  esp_bcast_text(comm, path, 0);
  if (*path) return ESP_OK;
  return esp_fail(
      ESP_USAGE,
      "text is read by the model's tokenizer: expected tokenizer.json beside %s%s, found "
      "none; copy it there, or give token files (espalier tokenize)",
      model->path ? model->path : "the model",
      model->details ? ", or with the model that it was cut from" : "");
}

/* "eos_token": "</s>", or {"content": "</s>", ...} */
static int32_t find_named(const json_t *config, const char *key, const esp_tokenizer *tokenizer) {
  const json_t *value = json_object_get(config, key);
  if (json_is_object(value)) value = json_object_get(value, "content");
  return json_is_string(value) ? esp_tokenizer_find(tokenizer, json_string_value(value)) : -1;
}

/* "eos_token_id": 2, or [2, 3] */
static int32_t find_numbered(const json_t *config, int64_t vocabulary) {
  const json_t *value = json_object_get(config, "eos_token_id");
  if (json_is_array(value)) value = json_array_get(value, 0);
  const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
  return id >= 0 && id < vocabulary ? (int32_t)id : -1;
}

static esp_status choose_local(const char *name, const char *text, const esp_model *model,
                               const esp_tokenizer *tokenizer, int32_t *token) {
  json_error_t error;
  json_t *config = text ? json_loads(text, 0, &error) : NULL;
  if (text && !config)
    return esp_fail(ESP_FORMAT, "%s: expected JSON, found an error in line %d: %s", name,
                    error.line, error.text);
  *token = find_named(config, "eos_token", tokenizer);
  if (*token < 0) *token = find_named(config, "sep_token", tokenizer);
  if (*token < 0) *token = find_numbered(model->config, model->vocabulary);
  json_decref(config);
  return ESP_OK;
}

esp_status esp_find_end_token(const esp_comm *comm, const esp_model *model,
                              const esp_tokenizer *tokenizer, const char *tokenizer_path,
                              int32_t *token) {
  char *name = name_beside(tokenizer_path, "tokenizer_config.json"), *text = NULL;
  int64_t bytes;
  const bool exists = esp_agree_max_i64(comm, comm->rank == 0 && access(name, R_OK) == 0) > 0;
  esp_status status = exists ? esp_file_read(comm, name, &text, &bytes) : ESP_OK;
  if (status == ESP_OK) status = esp_agree(comm, choose_local(name, text, model, tokenizer, token));
  esp_free(&text);
  esp_free(&name);
  return status;
}

int64_t esp_choose_context(const esp_model *model) {
  const json_t *positions = json_object_get(model->config, "max_position_embeddings");
  const int64_t longest = model->max_length > 0 ? model->max_length : json_integer_value(positions);
  return longest > 0 && longest < ESP_TEXT_CONTEXT ? longest : ESP_TEXT_CONTEXT;
}

/* A command may read a text several times: the same rows are described once. */
static bool was_described(const esp_dataset *data) {
  enum { REMEMBERED = 8 };
  static uint64_t described[REMEMBERED];
  static int count;
  for (int i = 0; i < count && i < REMEMBERED; i++)
    if (described[i] == data->fingerprint) return true;
  described[count++ % REMEMBERED] = data->fingerprint;
  return false;
}

static void describe(const esp_samples *self, const esp_dataset *data) {
  const esp_text_counts *of = &data->text;
  if (was_described(data)) return;
  esp_log_info("text: %s: %" PRId64 " documents, %" PRId64 " words, %" PRId64 " bytes: %" PRId64
               " tokens in %" PRId64 " rows of %" PRId64 "%s%s",
               data->path, of->documents, of->words, of->bytes, of->tokens, data->count,
               data->width, self->context > 0 ? "" : " (chosen, see --context)",
               self->pad ? ", a document each" : "");
  if (of->left_out > 0 && !self->pad)
    esp_log_info("text: the last %" PRId64 " tokens fill no row and are left out", of->left_out);
  if (of->cut > 0)
    esp_log_warn("%s: %" PRId64 " documents are longer than a row of %" PRId64
                 " tokens and were cut: %" PRId64 " tokens are left out; give a larger --context",
                 data->path, of->cut, data->width, of->left_out);
  if (of->empty > 0)
    esp_log_warn("%s: %" PRId64 " documents have no tokens and no row", data->path, of->empty);
}

static esp_status read_text(const esp_comm *comm, const esp_samples *self, const esp_model *model,
                            const char *path, esp_dataset **data) {
  esp_tokenizer *tokenizer;
  esp_text_source source = {.data = self->data,
                            .split = self->split,
                            .context = self->context,
                            .most_context = esp_choose_context(model),
                            .pad = self->pad};
  ESP_TRY(esp_tokenizer_open(comm, path, &tokenizer));
  esp_status status = esp_find_end_token(comm, model, tokenizer, path, &source.end_token);
  if (status == ESP_OK) status = esp_text_open(comm, tokenizer, &source, data);
  esp_tokenizer_free(&tokenizer);
  return status;
}

esp_status esp_samples_open_text(const esp_comm *comm, const esp_samples *self,
                                 const esp_model *model, esp_dataset **data) {
  char *path;
  if (model && model->family->input != ESP_DATA_TOKENS)
    return esp_fail(ESP_MISMATCH, "%s: expected images for family '%s', found text", self->data,
                    model->family->name);
  if (!model)
    return esp_fail(ESP_USAGE,
                    "%s is text, and a new model has no tokenizer; give token files (espalier "
                    "tokenize)",
                    self->data);
  if (model->max_length > 0 && self->context > model->max_length)
    return esp_fail(ESP_USAGE,
                    "--context %" PRId64 ": expected at most %" PRId64
                    " tokens, which is what the model reads; give fewer",
                    self->context, model->max_length);
  ESP_TRY(esp_find_tokenizer(comm, model, &path));
  const esp_status status = read_text(comm, self, model, path, data);
  if (status == ESP_OK) describe(self, *data);
  esp_free(&path);
  return status;
}
