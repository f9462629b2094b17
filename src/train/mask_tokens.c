#include "espalier/train/mask_tokens.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *name_file(const char *path) {
  struct stat about;
  if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
    return esp_format("%s/tokenizer.json", path);
  const char *slash = strrchr(path, '/');
  return slash ? esp_format("%.*s/tokenizer.json", (int)(slash - path), path)
               : esp_strdup("tokenizer.json");
}

static bool is_mask(const char *content) {
  return content && (strcmp(content, "[MASK]") == 0 || strcmp(content, "<mask>") == 0);
}

static void collect(const json_t *added, esp_mask_tokens *tokens) {
  const size_t n = json_array_size(added);
  tokens->special = ESP_NEW(int32_t, (int64_t)n);
  for (size_t i = 0; i < n; i++) {
    const json_t *row = json_array_get(added, i);
    const json_int_t id = json_integer_value(json_object_get(row, "id"));
    if (id < 0 || id > INT32_MAX) continue;
    if (json_is_true(json_object_get(row, "special")))
      tokens->special[tokens->n_special++] = (int32_t)id;
    if (is_mask(json_string_value(json_object_get(row, "content")))) tokens->mask = (int32_t)id;
  }
}

static esp_status parse(const char *path, const char *text, esp_mask_tokens *tokens) {
  json_error_t error;
  json_t *all = json_loads(text, 0, &error);
  if (!all)
    return esp_fail(ESP_FORMAT, "%s: expected JSON, found line %d: %s; give --mask-token ID", path,
                    error.line, error.text);
  collect(json_object_get(all, "added_tokens"), tokens);
  json_decref(all);
  return ESP_OK;
}

esp_status esp_mask_tokens_read(const esp_comm *comm, const char *path, esp_mask_tokens *tokens) {
  esp_mask_tokens_clear(tokens);
  *tokens = (esp_mask_tokens){.mask = -1};
  char *name = name_file(path), *text = NULL;
  int64_t bytes = 0;
  const bool exists = esp_agree_max_i64(comm, comm->rank == 0 && access(name, R_OK) == 0) > 0;
  esp_status status = exists ? esp_file_read(comm, name, &text, &bytes) : ESP_OK;
  if (status == ESP_OK && exists) status = esp_agree(comm, parse(name, text, tokens));
  tokens->bytes = bytes;
  esp_free(&text);
  esp_free(&name);
  return status;
}

void esp_mask_tokens_clear(esp_mask_tokens *self) {
  esp_free(&self->special);
}

esp_status esp_mask_tokens_choose(const esp_mask_tokens *self, const esp_model *model,
                                  const esp_train_options *options, uint64_t seed,
                                  esp_masking *masking) {
  const int64_t token = options->mask_token >= 0 ? options->mask_token : self->mask;
  if (token < 0)
    return esp_fail(ESP_USAGE, "a masked model is trained on tokens that it has to find: expected "
                               "a mask token in tokenizer.json beside the model, found none; give "
                               "--mask-token ID");
  if (token >= model->vocabulary)
    return esp_fail(ESP_USAGE,
                    "--mask-token %" PRId64 ": expected a token below %" PRId64
                    ", the vocabulary; give the model's own",
                    token, model->vocabulary);
  if (self->n_special == 0)
    esp_log_warn("no tokenizer.json beside the model says which tokens are special: separators may "
                 "be masked too");
  *masking = (esp_masking){.rate = options->mask_rate,
                           .token = (int32_t)token,
                           .vocabulary = model->vocabulary,
                           .special = self->special,
                           .n_special = self->n_special,
                           .seed = seed};
  return ESP_OK;
}
