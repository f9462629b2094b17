#include "commands.h"

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

static void set_numbers(const esp_quality *quality, json_t *row) {
  json_object_set_new(row, "mean_squared_error", esp_json_real(quality->loss_nats));
  json_object_set_new(row, "r2", esp_json_real(quality->r2));
}

/* accuracy of classifiers, perplexity of models of tokens, cosine of encoders. */
static void set_quality(const esp_model *model, const esp_dataset *data, const esp_quality *quality,
                        json_t *row) {
  json_object_set_new(row, "samples", json_integer(quality->samples));
  if (model->task == ESP_TASK_EMBED) {
    json_object_set_new(row, "cosine", esp_json_real(quality->cosine));
    return;
  }
  if (model->task == ESP_TASK_REGRESS) {
    set_numbers(quality, row);
    return;
  }
  json_object_set_new(row, "loss_nats", esp_json_real(quality->loss_nats));
  if (model->task == ESP_TASK_MULTI_LABEL)
    json_object_set_new(row, "f1_micro", esp_json_real(quality->f1));
  if (esp_model_is_by_sample(model)) {
    json_object_set_new(row, "accuracy",
                        esp_json_real((double)quality->correct / (double)quality->targets));
    return;
  }
  json_object_set_new(row, "perplexity", esp_json_real(exp(quality->loss_nats)));
  json_object_set_new(row, "context", json_integer(data->width));
  json_object_set_new(row, "targets", json_integer(quality->targets));
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

static json_t *describe(const esp_model *model) {
  json_t *row = esp_json_pack("{s:o, s:s, s:I}", "model", esp_json_text(model->path), "family",
                              model->family->name, "parameters",
                              (json_int_t)esp_model_count_parameters(model));
  json_t *report = model->details ? json_loads(model->details, 0, NULL) : NULL;
  static const char *const copied[] = {"criterion", "repair", "sparsity_asked",
                                       "selection_checksum", "structure"};
  for (unsigned i = 0; i < sizeof copied / sizeof *copied; i++)
    if (report) json_object_set(row, copied[i], json_object_get(report, copied[i]));
  const json_t *recovery = json_object_get(report, "recovery");
  if (recovery) json_object_set(row, "recovery_steps", json_object_get(recovery, "best_step"));
  json_decref(report);
  return row;
}

static esp_status measure(const command_input *input, esp_model **models, int i,
                          const esp_dataset *data, json_t *row) {
  const esp_eval_options options = {.state_bytes = input->settings->eval.state_bytes};
  esp_model *const both[2] = {models[0], models[i]};
  esp_quality quality;
  /* Logits alone need no targets. */
  if (input->settings->eval.logits && !esp_model_has_targets(models[i], data)) return ESP_OK;
  if (models[i]->task == ESP_TASK_EMBED)
    ESP_TRY(esp_eval_cosine(input->comm, both, data, &options, &quality));
  else
    ESP_TRY(esp_eval_quality(input->comm, models[i], data, &options, &quality));
  set_quality(models[i], data, &quality, row);
  set_text_quality(models[i], data, &quality, row);
  return ESP_OK;
}

static esp_status measure_quality(const command_input *input, esp_model **models,
                                  const esp_dataset *data, json_t *results) {
  for (int i = 0; i < input->n_arguments; i++) {
    json_t *row = describe(models[i]);
    json_array_append_new(results, row);
    int64_t nonzero;
    ESP_TRY(esp_agree(input->comm, esp_model_count_nonzero_local(models[i], &nonzero)));
    json_object_set_new(row, "nonzero_parameters", json_integer(nonzero));
    ESP_TRY(measure(input, models, i, data, row));
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

static esp_status measure_speed(const command_input *input, esp_model **models,
                                const esp_dataset *data, json_t *results) {
  const esp_speed_options options = {input->settings->eval.speed_batch,
                                     input->settings->eval.repeats};
  const int n = input->n_arguments;
  ESP_TRY(load_for_speed(input, models));
  double *rates = ESP_NEW(double, n);
  esp_eval_speed(input->comm, models, n, data, &options, rates);
  for (int i = 0; i < n; i++) {
    json_t *row = json_array_get(results, (size_t)i);
    json_object_set_new(row, is_text(models[i]) ? "tokens_per_s" : "images_per_s",
                        esp_json_real(rates[i]));
    json_object_set_new(row, "speedup", esp_json_real(rates[i] / rates[0]));
  }
  esp_free(&rates);
  for (int i = 0; i < n; i++) esp_model_unload_all(models[i]);
  return ESP_OK;
}

static double get_real(const json_t *row, const char *key) {
  return json_number_value(json_object_get(row, key));
}

static const char *get_text(const json_t *row, const char *key) {
  const char *text = json_string_value(json_object_get(row, key));
  return text ? text : "-";
}

/* The figure that a model of this task is judged by. */
typedef struct figure {
  const char *title, *key, *unit;
  double factor;
  int digits;
} figure;

static figure choose_figure(const esp_model *model, const esp_dataset *data, char *title,
                            size_t size) {
  if (model->task == ESP_TASK_EMBED) return (figure){"cosine", "cosine", "", 1.0, 5};
  if (model->task == ESP_TASK_REGRESS) return (figure){"R2", "r2", "", 1.0, 5};
  if (model->task == ESP_TASK_MULTI_LABEL) return (figure){"micro-F1", "f1_micro", "%", 100.0, 2};
  if (model->task == ESP_TASK_CLASSIFY) return (figure){"accuracy", "accuracy", "%", 100.0, 2};
  snprintf(title, size, "ppl T=%" PRId64, data->width);
  return (figure){title, "perplexity", "", 1.0, 3};
}

/* No figure where nothing was predicted, or that the data do not define. */
static void print_quality(const command_input *input, const json_t *row, const figure *shown) {
  const json_t *error = json_object_get(row, "mean_squared_error");
  if (json_is_number(json_object_get(row, shown->key)))
    print_result(input, "%*.*f%s ", shown->unit[0] ? 11 : 12, shown->digits,
                 shown->factor * get_real(row, shown->key), shown->unit);
  else
    print_result(input, "%12s ", "-");
  if (error)
    print_result(input, "%9.4g", json_number_value(error));
  else if (json_object_get(row, shown->key))
    print_result(input, "%9.4f", get_real(row, "loss_nats"));
  else
    print_result(input, "%9s", "-");
}

/* Training after the cut takes the place of the repair that it began with. */
static const char *describe_repair(const json_t *row) {
  const bool is_recovered = json_integer_value(json_object_get(row, "recovery_steps")) > 0;
  return is_recovered ? "recovered" : get_text(row, "repair");
}

static void print_row(const command_input *input, const json_t *row, const figure *shown,
                      const char *rate, const char *model) {
  print_result(input, "%-16s %8.2f %-14s", get_text(row, "criterion"),
               get_real(row, "sparsity_asked"), describe_repair(row));
  print_quality(input, row, shown);
  print_result(input, " %10.0f %10.0f", get_real(row, "parameters"),
               get_real(row, "nonzero_parameters"));
  if (input->settings->eval.speed)
    print_result(input, " %12.0f %7.2fx", get_real(row, rate), get_real(row, "speedup"));
  print_result(input, "  %s\n", model);
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

static void print_table(const command_input *input, const esp_model *first, const esp_dataset *data,
                        const json_t *results) {
  size_t i;
  json_t *row;
  char title[32];
  const figure shown = choose_figure(first, data, title, sizeof title);
  const char *rate = is_text(first) ? "tokens_per_s" : "images_per_s";
  print_result(input, "%-16s %8s %-14s%12s %9s %10s %10s", "criterion", "sparsity", "repair",
               shown.title, first->task == ESP_TASK_REGRESS ? "MSE" : "loss", "parameters",
               "nonzero");
  if (input->settings->eval.speed)
    print_result(input, " %12s %8s", is_text(first) ? "tokens/s" : "images/s", "speed-up");
  print_result(input, "  model\n");
  json_array_foreach(results, i, row) print_row(input, row, &shown, rate, input->arguments[i]);
  print_text_quality(input, data, results);
  json_array_foreach(results, i, row) if (strcmp(get_text(row, "structure"), "unstructured") == 0)
      print_result(input, "%s is sparse, not smaller: its zeros are stored and multiplied\n",
                   input->arguments[i]);
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
  esp_dataset *data = NULL;
  esp_samples samples = esp_samples_of(&input->settings->run, &input->settings->data, "test");
  samples.reader = choose_reader(input, models);
  ESP_TRY(check_tokenizers(input, models));
  ESP_TRY(esp_samples_open_data(input->comm, &samples, NULL, &data));
  json_t *results = json_array();
  *result = esp_json_pack("{s:o, s:s, s:o}", "data", esp_json_text(data->path), "split",
                          data->split, "results", results);
  if (data->text.documents > 0) json_object_set_new(*result, "corpus", describe_corpus(data));
  esp_phases_begin(phases, "quality");
  esp_status status = measure_quality(input, models, data, results);
  esp_phases_begin(phases, "speed");
  if (status == ESP_OK && input->settings->eval.speed)
    status = measure_speed(input, models, data, results);
  if (status == ESP_OK) print_table(input, models[0], data, results);
  if (status == ESP_OK && input->settings->eval.logits)
    status = write_logits(input, models[0], data);
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
  if (status == ESP_OK)
    json_object_set_new(*result, "run", esp_phases_gather(input->comm, &phases));
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
    .run = run};
