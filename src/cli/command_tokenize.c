#include "commands.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/flow/text_samples.h"
#include "espalier/io/file.h"
#include "espalier/io/h5.h"

#include <inttypes.h>
#include <string.h>

enum { SAMPLE_TOKENS = 48 };

/* What a run of the command holds. */
typedef struct tokenize_job {
  const command_input *input;
  esp_model *model;
  esp_tokenizer *tokenizer;
  char *path; // of the tokenizer
  esp_dataset *data;
} tokenize_job;

/* The texts that are arguments, as one name. */
static esp_status name_data(const command_input *input, char **data) {
  *data = esp_strdup(input->arguments[1]);
  for (int i = 2; i < input->n_arguments; i++) {
    char *before = *data;
    *data = esp_format("%s,%s", before, input->arguments[i]);
    esp_free(&before);
  }
  if (input->n_arguments == 2 || esp_text_count_names(*data) >= input->n_arguments - 1)
    return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "tokenize: expected files *.txt or *.jsonl, plain or .gz, or one folder of them, "
                  "found another name among %s",
                  *data);
}

static esp_status open_tokenizer(tokenize_job *job) {
  const command_input *input = job->input;
  ESP_TRY(esp_model_open_ignoring(input->comm, input->arguments[0],
                                  input->settings->run.ignore_tensors, &job->model));
  ESP_TRY(esp_find_tokenizer(input->comm, job->model, &job->path));
  return esp_tokenizer_open(input->comm, job->path, &job->tokenizer);
}

static json_t *dump_counts(const tokenize_job *job) {
  const esp_text_counts *of = &job->data->text;
  json_t *all = esp_json_pack(
      "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "files", (json_int_t)of->files,
      "documents", (json_int_t)of->documents, "words", (json_int_t)of->words, "bytes",
      (json_int_t)of->bytes, "tokens", (json_int_t)of->tokens, "left_out", (json_int_t)of->left_out,
      "cut", (json_int_t)of->cut, "empty", (json_int_t)of->empty, "rows",
      (json_int_t)job->data->count, "context", (json_int_t)job->data->width);
  json_object_set_new(all, "tokenizer", esp_json_text(job->path));
  json_object_set_new(all, "model", esp_json_text(esp_tokenizer_get_model(job->tokenizer)));
  return all;
}

/* Quotes and control characters as JSON writes them: one line. */
static void print_sample(const tokenize_job *job, const char *text, int64_t bytes) {
  json_t *value = json_stringn_nocheck(text, (size_t)bytes);
  char *line = esp_json_dump(value, JSON_ENCODE_ANY);
  print_result(job->input, "begins with %s\n", line);
  esp_free(&line);
  json_decref(value);
}

static esp_status show_sample(const tokenize_job *job) {
  const int64_t most = job->data->lengths ? job->data->lengths[0] : job->data->width;
  char *text;
  int64_t bytes;
  ESP_TRY(esp_tokenizer_decode(job->tokenizer, job->data->tokens,
                               most < SAMPLE_TOKENS ? most : SAMPLE_TOKENS, true, &text, &bytes));
  print_sample(job, text, bytes);
  esp_free(&text);
  return ESP_OK;
}

static void print_counts(const tokenize_job *job) {
  const esp_text_counts *of = &job->data->text;
  const double words = (double)(of->words > 0 ? of->words : 1);
  print_result(job->input, "%" PRId64 " documents, %" PRId64 " words, %" PRId64 " bytes\n",
               of->documents, of->words, of->bytes);
  print_result(job->input,
               "%" PRId64 " tokens (%s, %.3f a word): %" PRId64 " rows of %" PRId64 "\n",
               of->tokens, esp_tokenizer_get_model(job->tokenizer), (double)of->tokens / words,
               job->data->count, job->data->width);
  if (of->left_out > 0)
    print_result(job->input, "%" PRId64 " tokens left out: %s\n", of->left_out,
                 of->cut > 0 ? "behind the ends of rows" : "they fill no row");
}

static esp_status encode(tokenize_job *job, json_t **result) {
  const esp_settings *settings = job->input->settings;
  char *data = NULL;
  if (!settings->run.output)
    return esp_fail(ESP_USAGE, "tokenize: expected where to write the tokens; give -o FILE");
  ESP_TRY(esp_h5_check_writable(job->input->comm, settings->run.output, 0));
  esp_status status = name_data(job->input, &data);
  esp_text_source source = {.data = data,
                            .split = settings->data.split ? settings->data.split : "train",
                            .context = settings->data.context,
                            .most_context = esp_choose_context(job->model),
                            .pad = settings->data.pad};
  if (status == ESP_OK)
    status = esp_find_end_token(job->input->comm, job->model, job->tokenizer, job->path,
                                &source.end_token);
  if (status == ESP_OK)
    status = esp_text_open(job->input->comm, job->tokenizer, &source, &job->data);
  if (status == ESP_OK)
    status = esp_text_write_tokens(job->input->comm, job->data, settings->run.output);
  esp_free(&data);
  ESP_TRY(status);
  print_counts(job);
  *result = dump_counts(job);
  return show_sample(job);
}

/* Text of rows: of packed ones together, with the end tokens between documents; of padded ones a
 * line each, without special tokens. */
typedef struct decoded {
  char *text; // owned
  int64_t count;
} decoded;

static esp_status add_text(const tokenize_job *job, const int32_t *ids, int64_t n, const char *end,
                           decoded *to) {
  char *text, *before = to->text;
  int64_t bytes;
  const int64_t more = (int64_t)strlen(end);
  ESP_TRY(esp_tokenizer_decode(job->tokenizer, ids, n, !job->data->lengths, &text, &bytes));
  to->text = ESP_NEW(char, to->count + bytes + more);
  if (before) memcpy(to->text, before, (size_t)to->count);
  memcpy(to->text + to->count, text, (size_t)bytes);
  memcpy(to->text + to->count + bytes, end, (size_t)more);
  to->count += bytes + more;
  esp_free(&before);
  esp_free(&text);
  return ESP_OK;
}

static esp_status decode_local(const tokenize_job *job, decoded *to) {
  const esp_dataset *of = job->data;
  if (!of->lengths) return add_text(job, of->tokens, of->count * of->width, "", to);
  for (int64_t row = 0; row < of->count; row++)
    ESP_TRY(add_text(job, of->tokens + row * of->width, of->lengths[row], "\n", to));
  return ESP_OK;
}

static esp_status write_decoded(const tokenize_job *job, const decoded *text) {
  const char *output = job->input->settings->run.output;
  return esp_file_write_bytes(job->input->comm, output ? output : "-", text->text, text->count);
}

/* Rank 0 decodes: it is fast beside reading. */
static esp_status decode(tokenize_job *job, json_t **result) {
  const command_input *input = job->input;
  decoded text = {0};
  if (input->n_arguments != 2 || input->settings->data.context > 0 || input->settings->data.pad)
    return esp_fail(ESP_USAGE, "tokenize --decode: expected a model and one token file, without "
                               "--context and --pad, found more");
  ESP_TRY(esp_dataset_open(input->comm, input->arguments[1], "train", &job->data));
  if (job->data->kind != ESP_DATA_TOKENS)
    return esp_fail(ESP_MISMATCH, "%s: expected a token file, found images", input->arguments[1]);
  esp_status status =
      esp_agree(input->comm, input->comm->rank == 0 ? decode_local(job, &text) : ESP_OK);
  if (status == ESP_OK) status = write_decoded(job, &text);
  esp_free(&text.text);
  if (status == ESP_OK)
    *result = esp_json_pack("{s:I, s:I}", "rows", (json_int_t)job->data->count, "bytes",
                            (json_int_t)text.count);
  return status;
}

static esp_status run(const command_input *input, json_t **result) {
  tokenize_job job = {.input = input};
  esp_status status = open_tokenizer(&job);
  if (status == ESP_OK)
    status = input->settings->data.decode ? decode(&job, result) : encode(&job, result);
  esp_dataset_close(&job.data);
  esp_tokenizer_free(&job.tokenizer);
  esp_free(&job.path);
  esp_model_free(&job.model);
  return status;
}

static const char *const *list_beside(const esp_settings *settings) {
  static const char *const beside[] = {".partial", NULL};
  (void)settings;
  return beside;
}

const command command_tokenize = {.name = "tokenize",
                                  .usage = "tokenize MODEL TEXT... -o TOKENS.h5",
                                  .summary =
                                      "text to a token file by the model's tokenizer, and back",
                                  .bit = ESP_FOR_TOKENIZE,
                                  .least = 2,
                                  .most = 1 << 20,
                                  .list_beside = list_beside,
                                  .run = run};
