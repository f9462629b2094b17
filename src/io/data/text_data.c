#include "dataset_format.h"
#include "text_documents.h"

#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "espalier/io/h5.h"

#include <sys/stat.h>

/* Token files and images in a folder come first, as they did before there was text. */
static bool is_text_local(const char *data) {
  if (!text_names_probe(data)) return false;
  return !esp_dataset_format_tokens.probe(data) && !esp_dataset_format_idx.probe(data);
}

bool esp_text_is(const esp_comm *comm, const char *data) {
  return esp_agree_max_i64(comm, comm->rank == 0 && is_text_local(data)) > 0;
}

esp_status esp_tokenizer_open(const esp_comm *comm, const char *path, esp_tokenizer **tokenizer) {
  char *text = NULL;
  int64_t bytes;
  *tokenizer = NULL;
  ESP_TRY(esp_file_read(comm, path, &text, &bytes));
  const esp_status status = esp_agree(comm, esp_tokenizer_new(text, bytes, path, tokenizer));
  if (status != ESP_OK) esp_tokenizer_free(tokenizer);
  esp_free(&text);
  return status;
}

static esp_status fill(const esp_comm *comm, esp_tokenizer *tokenizer,
                       const esp_text_source *source, esp_dataset *dataset) {
  text_documents documents = {0};
  text_tokens tokens = {0};
  esp_status status = text_documents_read(comm, source, &documents);
  if (status == ESP_OK) status = text_tokens_encode(comm, tokenizer, &documents, &tokens);
  if (status == ESP_OK) status = text_rows_fill(source, tokenizer, &documents, &tokens, dataset);
  if (status == ESP_OK) dataset_describe_tokens(dataset);
  text_tokens_clear(&tokens);
  text_documents_clear(&documents);
  return status;
}

esp_status esp_text_open(const esp_comm *comm, esp_tokenizer *tokenizer,
                         const esp_text_source *source, esp_dataset **dataset) {
  esp_dataset *self = ESP_NEW(esp_dataset, 1);
  self->format = esp_dataset_format_text.name;
  self->path = esp_strdup(source->data);
  self->split = esp_strdup(source->split);
  *dataset = self;
  const esp_status status = fill(comm, tokenizer, source, self);
  if (status != ESP_OK) esp_dataset_close(dataset);
  return status;
}

static esp_status write_arrays(esp_h5 *file, const esp_dataset *data) {
  const esp_h5_shape matrix = {ESP_I32, 2, {data->count, data->width}},
                     column = {ESP_I32, 1, {data->count}};
  ESP_TRY(esp_h5_write_root(file, "/tokens", &matrix, data->tokens));
  if (data->lengths) ESP_TRY(esp_h5_write_root(file, "/lengths", &column, data->lengths));
  return data->labels ? esp_h5_write_root(file, "/labels", &column, data->labels) : ESP_OK;
}

esp_status esp_text_write_tokens(const esp_comm *comm, const esp_dataset *dataset,
                                 const char *path) {
  esp_h5 *file;
  ESP_TRY(esp_h5_create(comm, path, &file));
  esp_status status = write_arrays(file, dataset);
  if (status == ESP_OK) return esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}
