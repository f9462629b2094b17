#include "commands.h"
#include "eval_table.h"
#include "gate.h"

#include "espalier/comm/phases.h"
#include "espalier/core/json.h"
#include "espalier/core/memory.h"
#include "espalier/eval/eval.h"
#include "espalier/flow/samples.h"
#include "espalier/flow/text_samples.h"
#include "espalier/model/family.h"
#include "espalier/model/forward.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static esp_status open_models(const command_input *input, esp_model **models) {
  for (int i = 0; i < input->n_arguments; i++)
    ESP_TRY(esp_model_open_ignoring(input->comm, input->arguments[i],
                                    input->settings->run.ignore_tensors, &models[i]));
  return ESP_OK;
}

static bool is_text(const esp_model *model) {
  return model->family->input == ESP_DATA_TOKENS;
}

/* Of text, what does not depend on the tokenizer: the loss of a token times the tokens of a word,
 * or of a byte, of the whole corpus. */
static void set_text_quality(const esp_model *model, const esp_dataset *data,
                             const esp_quality *quality, json_t *row) {
  const esp_text_counts *of = &data->text;
  if (of->words == 0 || model->task != ESP_TASK_LANGUAGE) return;
  const double total_nats = quality->loss_nats * (double)of->tokens;
  json_object_set_new(row, "perplexity_word", esp_json_real(exp(total_nats / (double)of->words)));
  json_object_set_new(row, "perplexity_byte", esp_json_real(exp(total_nats / (double)of->bytes)));
  json_object_set_new(row, "bits_per_byte",
                      esp_json_real(total_nats / (double)of->bytes / log(2.0)));
}

static json_t *describe_corpus(const esp_dataset *data) {
  const esp_text_counts *of = &data->text;
  return esp_json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "documents",
                       (json_int_t)of->documents, "words", (json_int_t)of->words, "bytes",
                       (json_int_t)of->bytes, "tokens", (json_int_t)of->tokens, "rows",
                       (json_int_t)data->count, "context", (json_int_t)data->width, "left_out",
                       (json_int_t)of->left_out, "padded", data->lengths != NULL);
}

static esp_status measure(const command_input *input, esp_model **models, int i,
                          const esp_dataset *data, esp_quality *quality, json_t *row) {
  const esp_eval_options options = {.state_bytes = input->settings->eval.state_bytes};
  esp_model *const both[2] = {models[0], models[i]};
  /* Logits alone need no targets. */
  if (input->settings->eval.logits && !esp_model_has_targets(models[i], data)) return ESP_OK;
  if (models[i]->task == ESP_TASK_EMBED)
    ESP_TRY(esp_eval_cosine(input->comm, both, data, &options, quality));
  else
    ESP_TRY(esp_eval_quality(input->comm, models[i], data, &options, quality));
  esp_eval_set_quality(models[i], data, quality, row);
  set_text_quality(models[i], data, quality, row);
  return ESP_OK;
}

static esp_status measure_quality(const command_input *input, esp_model **models,
                                  const esp_dataset *data, esp_quality *qualities,
                                  json_t *results) {
  for (int i = 0; i < input->n_arguments; i++) {
    json_t *row = esp_eval_describe(models[i]);
    json_array_append_new(results, row);
    int64_t nonzero;
    ESP_TRY(esp_agree(input->comm, esp_model_count_nonzero_local(models[i], &nonzero)));
    json_object_set_new(row, "nonzero_parameters", json_integer(nonzero));
    ESP_TRY(measure(input, models, i, data, &qualities[i], row));
  }
  return ESP_OK;
}

/* A timed pass must not load anything: all weights of all models are resident on rank 0. */
static esp_status load_for_speed(const command_input *input, esp_model **models) {
  esp_status status = ESP_OK;
  for (int i = 0; input->comm->rank == 0 && i < input->n_arguments && status == ESP_OK; i++)
    status = esp_model_load_all_local(models[i]);
  return esp_agree(input->comm, status);
}

static esp_speed_options get_speed_options(const command_input *input) {
  const esp_eval_options *eval = &input->settings->eval;
  return (esp_speed_options){eval->speed_batch, eval->repeats, eval->prefill};
}

static esp_status check_speed(const command_input *input, esp_model **models) {
  const esp_speed_options options = get_speed_options(input);
  for (int i = 0; input->settings->eval.speed && i < input->n_arguments; i++)
    ESP_TRY(esp_eval_check_speed(models[i], &options));
  return ESP_OK;
}

static esp_status measure_speed(const command_input *input, esp_model **models,
                                const esp_dataset *data, json_t *results) {
  const esp_speed_options options = get_speed_options(input);
  const int n = input->n_arguments;
  ESP_TRY(load_for_speed(input, models));
  double *rates = ESP_NEW(double, n);
  esp_eval_speed(input->comm, models, n, data, &options, rates);
  for (int i = 0; i < n; i++) {
    json_t *row = json_array_get(results, (size_t)i);
    json_object_set_new(row, is_text(models[i]) ? "tokens_per_s" : "images_per_s",
                        esp_json_real(rates[i]));
    json_object_set_new(row, "speedup", esp_json_real(rates[i] / rates[0]));
    json_object_set_new(row, "prefill", json_boolean(options.prefill));
  }
  esp_free(&rates);
  for (int i = 0; i < n; i++) esp_model_unload_all(models[i]);
  return ESP_OK;
}

static double get_real(const json_t *row, const char *key) {
  return json_number_value(json_object_get(row, key));
}

static void print_corpus(const command_input *input, const esp_dataset *data) {
  const esp_text_counts *of = &data->text;
  print_result(input,
               "text %s: %" PRId64 " documents, %" PRId64 " words, %" PRId64 " bytes; %" PRId64
               " tokens, %s\n",
               data->path, of->documents, of->words, of->bytes, of->tokens,
               data->lengths ? "a row a document" : "packed in full rows");
}

static void print_text_quality(const command_input *input, const esp_dataset *data,
                               const json_t *results) {
  size_t i;
  json_t *row;
  if (data->text.documents == 0) return;
  print_corpus(input, data);
  json_array_foreach((json_t *)(uintptr_t)results, i, row) {
    if (!json_object_get(row, "perplexity_word")) continue;
    print_result(input, "perplexity a word %.6g, a byte %.5f (%.4f bits)  %s\n",
                 get_real(row, "perplexity_word"), get_real(row, "perplexity_byte"),
                 get_real(row, "bits_per_byte"), input->arguments[i]);
  }
}

static esp_status write_logits(const command_input *input, esp_model *model,
                               const esp_dataset *data) {
  const esp_settings *settings = input->settings;
  const esp_eval_options options = {.state_bytes = settings->eval.state_bytes};
  return esp_eval_write_logits(input->comm, model, data, settings->eval.sequences, &options,
                               settings->eval.logits);
}

static esp_status find_fingerprint(const command_input *input, const esp_model *model,
                                   uint64_t *fingerprint) {
  char *path;
  esp_tokenizer *tokenizer;
  ESP_TRY(esp_find_tokenizer(input->comm, model, &path));
  const esp_status status = esp_tokenizer_open(input->comm, path, &tokenizer);
  if (status == ESP_OK) *fingerprint = esp_tokenizer_get_fingerprint(tokenizer);
  esp_tokenizer_free(&tokenizer);
  esp_free(&path);
  return status;
}

/* All models get the tokens of the first one. */
static esp_status check_tokenizers(const command_input *input, esp_model **models) {
  const char *data = input->settings->data.data;
  uint64_t first, other;
  if (input->n_arguments < 2 || !data || !esp_text_is(input->comm, data)) return ESP_OK;
  ESP_TRY(find_fingerprint(input, models[0], &first));
  for (int i = 1; i < input->n_arguments; i++) {
    ESP_TRY(find_fingerprint(input, models[i], &other));
    if (other != first)
      return esp_fail(ESP_MISMATCH,
                      "%s: expected the tokenizer of %s, which reads the text for all, found "
                      "another; evaluate it in a run of its own and compare what is said per word "
                      "and per byte",
                      input->arguments[i], input->arguments[0]);
  }
  return ESP_OK;
}

/* All have one tokenizer; the one of the shortest rows can be read by all. */
static const esp_model *choose_reader(const command_input *input, esp_model **models) {
  const esp_model *reader = models[0];
  for (int i = 1; i < input->n_arguments; i++)
    if (esp_choose_context(models[i]) < esp_choose_context(reader)) reader = models[i];
  return reader;
}

static esp_status evaluate(const command_input *input, esp_model **models, esp_phases *phases,
                           json_t **result) {
  const esp_eval_options *options = &input->settings->eval;
  esp_dataset *data = NULL;
  esp_samples samples = esp_samples_of(&input->settings->run, &input->settings->data, "test");
  samples.reader = choose_reader(input, models);
  ESP_TRY(check_tokenizers(input, models));
  ESP_TRY(gate_check(options, models, input->n_arguments));
  ESP_TRY(check_speed(input, models));
  ESP_TRY(esp_samples_open_data(input->comm, &samples, NULL, &data));
  const eval_table about = {models[0]->task, models[0]->family->input, data->width};
  esp_quality *qualities = ESP_NEW(esp_quality, input->n_arguments);
  json_t *results = json_array();
  *result = esp_json_pack("{s:o, s:s, s:o}", "data", esp_json_text(data->path), "split",
                          data->split, "results", results);
  if (data->text.documents > 0) json_object_set_new(*result, "corpus", describe_corpus(data));
  esp_phases_begin(phases, "quality");
  esp_status status = measure_quality(input, models, data, qualities, results);
  esp_phases_begin(phases, "speed");
  if (status == ESP_OK && options->speed) status = measure_speed(input, models, data, results);
  if (status == ESP_OK) eval_table_print(input, &about, results);
  if (status == ESP_OK) print_text_quality(input, data, results);
  if (status == ESP_OK && options->logits) status = write_logits(input, models[0], data);
  if (status == ESP_OK)
    status = gate_judge(options, models, input->n_arguments, qualities, results);
  esp_free(&qualities);
  esp_dataset_close(&data);
  return status;
}

static esp_status run(const command_input *input, json_t **result) {
  esp_model **models = ESP_NEW(esp_model *, input->n_arguments);
  esp_phases phases = {0};
  esp_phases_begin(&phases, "read");
  esp_status status = open_models(input, models);
  if (status == ESP_OK) status = evaluate(input, models, &phases, result);
  esp_phases_end(&phases);
  if (status == ESP_OK || status == ESP_BEYOND) {
    json_object_set_new(*result, "run", esp_phases_gather(input->comm, &phases));
  } else {
    json_decref(*result);
    *result = NULL;
  }
  for (int i = 0; i < input->n_arguments; i++) esp_model_free(&models[i]);
  esp_free(&models);
  return status;
}

const command command_eval = {
    .name = "eval",
    .usage = "eval MODEL [MODEL...] --data PATH",
    .summary = "accuracy, perplexity or cosine, and measured speed, side by side",
    .bit = ESP_FOR_EVAL,
    .least = 1,
    .most = 1 << 20,
    .computes = true,
    .tells_failure = true,
    .run = run};
