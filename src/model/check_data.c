#include "espalier/model/forward.h"

#include <inttypes.h>

static bool reads_numbers(const esp_model *model) {
  return model->task == ESP_TASK_REGRESS || model->task == ESP_TASK_MULTI_LABEL;
}

/* Numbers are no classes; of language models even less. */
static esp_status check_numbers(const esp_model *model, const esp_dataset *data) {
  if (data->n_targets == 0 || reads_numbers(model)) return ESP_OK;
  if (model->task == ESP_TASK_CLASSIFY)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected /labels (N) that are numbers of classes, found others, %d a "
                    "sequence; give classes, or say in config.json what the model is "
                    "(\"problem_type\": \"regression\" or \"multi_label_classification\")",
                    data->path, data->n_targets);
  return esp_fail(ESP_MISMATCH,
                  "%s: expected no /labels but classes (N) beside tokens for this '%s' model, "
                  "found %d a sequence; leave /labels out",
                  data->path, model->family->name, data->n_targets);
}

static bool has_numbers(const esp_model *model, const esp_dataset *data) {
  const int64_t found = data->targets ? data->n_targets : data->labels ? 1 : 0;
  return found == model->n_outputs;
}

static esp_status check_tokens(const esp_model *model, const esp_dataset *data) {
  if (model->max_length > 0 && data->width > model->max_length)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected sequences of at most %" PRId64
                    " tokens for this '%s' model, found %" PRId64
                    "; tokenize with a shorter context",
                    data->path, model->max_length, model->family->name, data->width);
  if (model->token_types > 0 && data->max_type >= model->token_types)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected token types below %" PRId64
                    ", found %d; use the model's own tokenizer",
                    data->path, model->token_types, data->max_type);
  ESP_TRY(check_numbers(model, data));
  if (data->max_token < model->vocabulary) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected token ids below %" PRId64
                  ", found %d; use the model's own tokenizer",
                  data->path, model->vocabulary, data->max_token);
}

esp_status esp_model_check_data(const esp_model *model, const esp_dataset *data) {
  if (data->kind != model->family->input)
    return esp_fail(ESP_MISMATCH, "%s: expected %s for family '%s', found %s", data->path,
                    model->family->input == ESP_DATA_TOKENS ? "a token file" : "images",
                    model->family->name, data->kind == ESP_DATA_TOKENS ? "a token file" : "images");
  if (data->kind == ESP_DATA_TOKENS) return check_tokens(model, data);
  if (data->width == model->n_inputs) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected samples of %" PRId64 " numbers for this '%s' model, found %" PRId64
                  "; give the data that the model was made for",
                  data->path, model->n_inputs, model->family->name, data->width);
}

/* Beyond the first token. */
static bool has_next_tokens(const esp_dataset *data) {
  if (!data->lengths) return data->width >= 2;
  for (int64_t i = 0; i < data->count; i++)
    if (data->lengths[i] >= 2) return true;
  return false;
}

bool esp_model_has_targets(const esp_model *model, const esp_dataset *data) {
  if (reads_numbers(model)) return has_numbers(model, data);
  if (model->task == ESP_TASK_CLASSIFY) return data->classes > 0 && model->n_outputs >= 2;
  return model->task != ESP_TASK_LANGUAGE || has_next_tokens(data);
}

esp_status esp_model_check_next_tokens(const esp_model *model, const esp_dataset *data) {
  if (esp_model_has_targets(model, data)) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected sequences of at least 2 tokens, found none longer than 1: a '%s' "
                  "model predicts nothing there; give longer sequences",
                  data->path, model->family->name);
}

esp_status esp_model_check_targets(const esp_model *model, const esp_dataset *data) {
  if (has_numbers(model, data)) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "%s: expected %" PRId64
                  " numbers a sequence in /labels for this model, found %d; "
                  "write /labels (N%s)",
                  data->path, model->n_outputs,
                  data->targets  ? data->n_targets
                  : data->labels ? 1
                                 : 0,
                  model->n_outputs > 1 ? ", labels" : "");
}

esp_status esp_model_check_labels(const esp_model *model, const esp_dataset *data) {
  if (model->n_outputs < 2)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected a classifier of at least 2 classes, found %" PRId64
                    ": there is nothing to tell apart",
                    data->path, model->n_outputs);
  if (data->classes >= 1 && data->classes <= model->n_outputs) return ESP_OK;
  return esp_fail(ESP_MISMATCH, "%s: expected labels from 0 to %" PRId64 ", found %d classes; %s",
                  data->path, model->n_outputs - 1, data->classes,
                  data->classes == 0 ? "write /labels (N)" : "take the data of this model");
}
