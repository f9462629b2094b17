/* What stands on BERT's encoder: nothing, a classifier over the pooled first token, or a masked
 * language model's decoder. */
#include "bert.h"
#include "heads.h"

#include "espalier/core/log.h"
#include "espalier/model/forward.h"

#include <stdio.h>
#include <string.h>

static const bert_shape *get_shape(const esp_model *model) {
  return model->shape;
}

static bool starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

/* The pooler and the transform are square in every configuration, so their outputs go with the
 * hidden dimensions, and so do the inputs of what reads them. */
static void add_pooler(esp_model *model, bert_shape *shape) {
  const esp_linear square = {.outputs = shape->hidden, .inputs = shape->hidden};
  shape->pooler = tf_add_linear(model, model->n_stages, square, "bert.pooler.dense");
  esp_model_add_reader(model, model->n_stages, &shape->pooler);
  tf_add_writer(model, &shape->pooler);
}

static bool ignores_nothing(const esp_model *model, const char *tensor) {
  (void)model, (void)tensor;
  return false;
}

/* The pooler of a plain encoder is kept for who reads the result, though nothing here does. */
static esp_status describe_encoder(esp_model *model, bert_shape *shape) {
  bool has_pooler = true;
  ESP_TRY(tf_get_flag_or(model->config, "add_pooling_layer", &has_pooler));
  if (has_pooler) add_pooler(model, shape);
  model->task = ESP_TASK_EMBED;
  model->n_outputs = shape->hidden;
  return ESP_OK;
}

static void apply_encoder(const esp_call *call, const float *state, float *logits) {
  const int64_t n = esp_call_count_rows(call) * get_shape(call->model)->hidden;
  if (logits != state) memcpy(logits, state, (size_t)n * sizeof *logits);
}

/* One map on every token. What it says has no figure here, so the encoder's states are evaluated.
 */
static esp_status add_token_map(esp_model *model, bert_shape *shape, const char *name) {
  esp_linear output = {.inputs = shape->hidden};
  ESP_TRY(tf_count_labels(model->config, &output.outputs));
  output = tf_add_linear(model, model->n_stages, output, "%s", name);
  esp_model_add_reader(model, model->n_stages, &output);
  model->task = ESP_TASK_EMBED;
  model->unread_head = name;
  model->n_outputs = shape->hidden;
  return ESP_OK;
}

static esp_status describe_tokens(esp_model *model, bert_shape *shape) {
  return add_token_map(model, shape, "classifier");
}

static esp_status describe_answers(esp_model *model, bert_shape *shape) {
  return add_token_map(model, shape, "qa_outputs");
}

static esp_status describe_classifier(esp_model *model, bert_shape *shape) {
  ESP_TRY(tf_count_labels(model->config, &model->n_outputs));
  ESP_TRY(tf_find_label_task(model->config, model->n_outputs, &model->task));
  add_pooler(model, shape);
  const esp_linear output = {.outputs = model->n_outputs, .inputs = shape->hidden};
  shape->output = tf_add_linear(model, model->n_stages, output, "classifier");
  esp_model_add_width(model, shape->output.weight, 1);
  return ESP_OK;
}

/* W tanh(P r_0 + p) + b of each sequence's first token. */
static void apply_classifier(const esp_call *call, const float *state, float *logits) {
  const bert_shape *shape = get_shape(call->model);
  const esp_activation *tanh = NULL;
  const int64_t n = shape->hidden, count = call->batch.count;
  float *first = ESP_TAKE(call->workspace, float, count *n);
  float *pooled = ESP_TAKE(call->workspace, float, count *n);
  ESP_ASSERT(esp_activation_find("tanh", &tanh) == ESP_OK);
  for (int64_t i = 0; i < count; i++)
    memcpy(first + i * n, state + i * call->batch.width * n, (size_t)n * sizeof *first);
  esp_linear_forward(call->model, &shape->pooler, count, first, pooled, false);
  tanh->apply(count * n, pooled, pooled);
  esp_linear_forward(call->model, &shape->output, count, pooled, logits, false);
}

/* The bias of a tied decoder is "cls.predictions.bias"; an untied one has its own of both, or no
 * bias. */
static void add_decoder(esp_model *model, bert_shape *shape, bool has_bias) {
  const int64_t n = model->vocabulary;
  shape->output = (esp_linear){.outputs = n, .inputs = shape->hidden, .bias = has_bias ? 0 : -1};
  if (!model->is_head_tied) {
    shape->output = tf_add_linear(model, model->n_stages, shape->output, "cls.predictions.decoder");
    esp_model_add_width(model, shape->output.weight, 1);
    return;
  }
  shape->output.weight = shape->words;
  shape->output.bias = esp_model_add_weight(model, (esp_weight_shape){model->n_stages, 1, {n}},
                                            "cls.predictions.bias");
}

static esp_status describe_masked(esp_model *model, bert_shape *shape) {
  const esp_linear square = {.outputs = shape->hidden, .inputs = shape->hidden};
  bool has_bias = true;
  ESP_TRY(tf_get_flag_or(model->config, BERT_DECODER_BIAS, &has_bias));
  model->is_head_tied = true;
  ESP_TRY(tf_get_flag_or(model->config, "tie_word_embeddings", &model->is_head_tied));
  shape->transform =
      tf_add_linear(model, model->n_stages, square, "cls.predictions.transform.dense");
  esp_model_add_reader(model, model->n_stages, &shape->transform);
  tf_add_writer(model, &shape->transform);
  shape->transform_norm =
      tf_add_norm(model, model->n_stages, shape->hidden, "cls.predictions.transform.LayerNorm");
  add_decoder(model, shape, has_bias);
  model->task = ESP_TASK_MASKED;
  model->n_outputs = model->vocabulary;
  return ESP_OK;
}

/* V norm(f(T r + t)) + b. */
static void apply_masked(const esp_call *call, const float *state, float *logits) {
  const esp_model *model = call->model;
  const bert_shape *shape = get_shape(model);
  const int64_t rows = esp_call_count_rows(call), n = shape->hidden;
  float *x = ESP_TAKE(call->workspace, float, rows *n);
  esp_linear_forward(model, &shape->transform, rows, state, x, false);
  shape->activation->apply(rows * n, x, x);
  tf_apply_norm(model, shape->transform_norm, shape->epsilon, rows, x, x);
  tf_head_map(call, &shape->output, rows, x, logits);
}

/* The next-sentence head and its pooler, and the copies of tied weights (or the unused bias of
 * untied ones). */
static bool ignores_masked(const esp_model *model, const char *tensor) {
  if (starts_with(tensor, "cls.seq_relationship.") || starts_with(tensor, "bert.pooler."))
    return true;
  if (!model->is_head_tied) return strcmp(tensor, "cls.predictions.bias") == 0;
  return starts_with(tensor, "cls.predictions.decoder.");
}

/* A pooler that came from another head. */
static bool ignores_pooler(const esp_model *model, const char *tensor) {
  (void)model;
  return starts_with(tensor, "bert.pooler.") || starts_with(tensor, "pooler.");
}

static const bert_head heads[] = {
    {"BertForSequenceClassification", describe_classifier, apply_classifier,
     bert_classifier_backward, ignores_nothing},
    {"BertForMaskedLM", describe_masked, apply_masked, bert_masked_backward, ignores_masked},
    {"BertForTokenClassification", describe_tokens, apply_encoder, bert_encoder_backward,
     ignores_pooler},
    {"BertForQuestionAnswering", describe_answers, apply_encoder, bert_encoder_backward,
     ignores_pooler},
    {NULL, describe_encoder, apply_encoder, bert_encoder_backward, ignores_nothing},
};

static esp_status check_headless(const char *architecture) {
  if (!starts_with(architecture, "BertFor") && strcmp(architecture, "BertLMHeadModel") != 0)
    return ESP_OK;
  return esp_fail(
      ESP_FORMAT,
      "configuration: expected 'architectures' BertModel, BertForSequenceClassification, "
      "BertForTokenClassification, BertForQuestionAnswering or BertForMaskedLM, found '%.80s'",
      architecture);
}

static bool has_tensor(const esp_tensor_set *set, const char *name) {
  static const char prefix[] = "bert.";
  const bool is_prefixed = starts_with(name, prefix);
  return esp_tensor_set_find(set, name) ||
         (is_prefixed && esp_tensor_set_find(set, name + sizeof prefix - 1));
}

static const char *find_stored(const esp_tensor_set *set) {
  const bool has_pooler = has_tensor(set, "bert.pooler.dense.weight");
  if (has_tensor(set, "cls.predictions.transform.dense.weight")) return "BertForMaskedLM";
  if (has_tensor(set, "qa_outputs.weight")) return "BertForQuestionAnswering";
  if (!has_tensor(set, "classifier.weight")) return NULL;
  return has_pooler ? "BertForSequenceClassification" : "BertForTokenClassification";
}

/* An untied decoder without a stored bias has none: transformers sets it to 0. */
static void complete_decoder(json_t *config, const esp_tensor_set *set) {
  const json_t *tie = json_object_get(config, "tie_word_embeddings");
  if (!json_is_false(tie) || !has_tensor(set, "cls.predictions.decoder.weight") ||
      has_tensor(set, "cls.predictions.decoder.bias"))
    return;
  json_object_set_new(config, BERT_DECODER_BIAS, json_false());
  if (has_tensor(set, "cls.predictions.bias"))
    esp_log_warn("%s: an untied decoder without a bias of its own: taken as 0 as transformers 5 "
                 "does, cls.predictions.bias is not read",
                 set->path);
}

void bert_head_complete(json_t *config, const esp_tensor_set *set) {
  const bert_head *head;
  const char *stored = find_stored(set);
  const json_t *names = json_object_get(config, "architectures");
  if (stored && !json_string_value(json_array_get(names, 0)))
    json_object_set_new(config, "architectures", json_pack("[s]", stored));
  if (bert_head_find(config, &head) != ESP_OK) return;
  if (!head->architecture && !has_tensor(set, "bert.pooler.dense.weight"))
    json_object_set_new(config, "add_pooling_layer", json_false());
  if (head->describe == describe_masked) complete_decoder(config, set);
}

esp_status bert_head_find(const json_t *config, const bert_head **head) {
  const char *name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
  for (*head = heads; (*head)->architecture; ++*head)
    if (name && strcmp((*head)->architecture, name) == 0) return ESP_OK;
  return name ? check_headless(name) : ESP_OK;
}
