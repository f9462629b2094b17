/* What stands on GPT-2's decoder: a language model's head, a map of one of the tasks of
 * transformers' classes, or nothing. */
#include "gpt2.h"

#include "transformer.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <string.h>

static const gpt2_shape *get_shape(const esp_model *model) {
  return model->shape;
}

static const tf_head heads[] = {
    {"ForSequenceClassification", "score", false, 0, ESP_TASK_CLASSIFY, false},
    {"ForTokenClassification", "classifier", true, 0, ESP_TASK_EMBED, false},
    {"ForQuestionAnswering", "qa_outputs", true, 2, ESP_TASK_EMBED, false},
    {"Model", NULL, false, 0, ESP_TASK_EMBED, false},
    {NULL, "lm_head", false, 0, ESP_TASK_LANGUAGE, false},
};

static void add_language_head(esp_model *model, gpt2_shape *shape) {
  const int stage = model->n_stages;
  esp_linear head = {
      .weight = shape->tokens, .bias = -1, .outputs = model->vocabulary, .inputs = shape->hidden};
  if (!model->is_head_tied) head = tf_add_linear(model, stage, head, "lm_head");
  esp_model_add_reader(model, stage, &head);
  shape->head.linear = head;
  model->task = ESP_TASK_LANGUAGE;
  model->n_outputs = model->vocabulary;
}

esp_status gpt2_head_describe(esp_model *model, gpt2_shape *shape) {
  const tf_head *head = tf_head_find(model->config, heads, model->is_head_tied);
  shape->norm = tf_add_norm(model, model->n_stages, shape->hidden, "transformer.ln_f");
  if (head->task != ESP_TASK_LANGUAGE) {
    model->is_head_tied = false;
    return tf_head_describe(model, head, shape->hidden, &shape->head);
  }
  add_language_head(model, shape);
  return ESP_OK;
}

void gpt2_head_apply(const esp_call *call, const float *state, float *logits) {
  const gpt2_shape *shape = get_shape(call->model);
  const int64_t rows = tf_head_count_rows(call);
  const float *x = tf_head_gather(&shape->head, call, shape->hidden, state);
  if (call->model->task == ESP_TASK_EMBED) {
    tf_apply_norm(call->model, shape->norm, shape->epsilon, rows, x, logits);
    return;
  }
  float *normed = ESP_TAKE(call->workspace, float, rows * shape->hidden);
  tf_apply_norm(call->model, shape->norm, shape->epsilon, rows, x, normed);
  tf_head_map(call, &shape->head.linear, rows, normed, logits);
}

/* The gradient of the normalised rows that the head reads: dlogits, or through its map. */
static const float *map_backward(const esp_backward *self, const float *x, const float *dlogits) {
  const esp_call *call = &self->call;
  const gpt2_shape *shape = get_shape(call->model);
  const int64_t rows = tf_head_count_rows(call), n = rows * shape->hidden;
  if (call->model->task == ESP_TASK_EMBED) return dlogits;
  float *normed = ESP_TAKE(call->workspace, float, n);
  float *dnormed = ESP_TAKE(call->workspace, float, n);
  tf_apply_norm(call->model, shape->norm, shape->epsilon, rows, x, normed);
  memset(dnormed, 0, (size_t)n * sizeof *dnormed);
  tf_linear_backward(
      &(tf_input){
          .call = call, .rows = rows, .x = normed, .dx = dnormed, .gradients = self->gradients},
      &shape->head.linear, dlogits);
  return dnormed;
}

void gpt2_head_backward(const esp_backward *self, const float *dlogits, float *dstate) {
  const esp_call *call = &self->call;
  const gpt2_shape *shape = get_shape(call->model);
  const int64_t rows = tf_head_count_rows(call);
  const float *x = tf_head_gather(&shape->head, call, shape->hidden, self->state);
  const float *dnormed = map_backward(self, x, dlogits);
  float *dx = ESP_TAKE(call->workspace, float, rows * shape->hidden); // dstate may be dlogits
  const tf_input norm = {
      .call = call, .rows = rows, .x = x, .dx = dx, .gradients = self->gradients};
  tf_norm_backward(&norm, shape->norm, shape->epsilon, dnormed);
  tf_head_scatter(&shape->head, call, shape->hidden, dx, dstate);
}

/* GPT2Config's other names of its members, which win where both are there. */
static const char *const aliases[][2] = {{"hidden_size", "n_embd"},
                                         {"max_position_embeddings", "n_positions"},
                                         {"num_attention_heads", "n_head"},
                                         {"num_hidden_layers", "n_layer"}};

void gpt2_complete(json_t *config, const esp_tensor_set *set) {
  const tf_classes classes = {heads, "GPT2", "LMHeadModel", "wte.weight", true};
  for (unsigned i = 0; i < sizeof aliases / sizeof *aliases; i++) {
    json_t *found = json_object_get(config, aliases[i][0]);
    if (found) json_object_set(config, aliases[i][1], found);
    json_object_del(config, aliases[i][0]);
  }
  tf_head_complete(&classes, config, set);
}
