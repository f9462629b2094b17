#include "espalier/model/forward.h"

#include <inttypes.h>

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

esp_status esp_model_check_labels(const esp_model *model, const esp_dataset *data) {
  if (model->n_outputs < 2)
    return esp_fail(ESP_MISMATCH,
                    "%s: expected a classifier of at least 2 classes, found %" PRId64
                    ": there is nothing to tell apart; models of one label (regression) have no "
                    "figure here",
                    data->path, model->n_outputs);
  if (data->classes >= 1 && data->classes <= model->n_outputs) return ESP_OK;
  return esp_fail(ESP_MISMATCH, "%s: expected labels from 0 to %" PRId64 ", found %d classes",
                  data->path, model->n_outputs - 1, data->classes);
}
