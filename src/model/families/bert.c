/* BERT: r = norm(word + position + type), blocks r = norm(r + attention(r));
 * r = norm(r + W_2 f(W_1 r + b_1) + b_2), and one of the heads of bert_head.c. The norms of a block
 * follow its stages' consumers. */
#include "bert.h"

#include "families.h"
#include "fields.h"
#include "ops.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>

static const bert_shape *get_shape(const esp_model *model) {
  return model->shape;
}

static const char *const layer_keys[] = {"num_attention_heads", "intermediate_size", NULL};

/* With the defaults of transformers' BertConfig. */
static const tf_size heads_size = {"num_attention_heads", 12},
                     intermediate_size = {"intermediate_size", 3072};

static esp_status read_numbers(esp_model *model, bert_shape *shape) {
  const char *activation = "gelu";
  ESP_TRY(config_fields_check(model));
  ESP_TRY(tf_get_text_or(model->config, "hidden_act", &activation));
  ESP_TRY(esp_activation_find(activation, &shape->activation));
  shape->epsilon = 1e-12;
  ESP_TRY(tf_get_real_or(model->config, "layer_norm_eps", &shape->epsilon));
  ESP_TRY(tf_get_size(model->config, (tf_size){"hidden_size", 768}, &shape->hidden));
  ESP_TRY(tf_get_size(model->config, (tf_size){"type_vocab_size", 2}, &model->token_types));
  ESP_TRY(
      tf_get_size(model->config, (tf_size){"max_position_embeddings", 512}, &model->max_length));
  ESP_TRY(tf_get_size(model->config, (tf_size){"vocab_size", 30522}, &model->vocabulary));
  return tf_get_head_size(model->config, heads_size, shape->hidden, &shape->head_size);
}

static int add_table(esp_model *model, int64_t rows, int64_t n, const char *name) {
  const int weight = esp_model_add_weight(model, (esp_weight_shape){ESP_STAGE_EMBED, 2, {rows, n}},
                                          "bert.embeddings.%s_embeddings.weight", name);
  esp_model_add_width(model, weight, 1);
  return weight;
}

static void add_embedding(esp_model *model, bert_shape *shape) {
  const int64_t n = shape->hidden;
  shape->words = add_table(model, model->vocabulary, n, "word");
  model->weights[shape->words].is_table = true;
  shape->positions = add_table(model, model->max_length, n, "position");
  shape->token_types = add_table(model, model->token_types, n, "token_type");
  shape->norm = tf_add_norm(model, ESP_STAGE_EMBED, n, "bert.embeddings.LayerNorm");
}

static void add_attention(esp_model *model, bert_shape *shape, int l, int64_t heads) {
  static const char *const names[3] = {"query", "key", "value"};
  const int64_t n = heads * shape->head_size;
  bert_layer *layer = &shape->layers[l];
  for (int part = 0; part < 3; part++) {
    layer->parts[part] =
        tf_add_linear(model, 2 * l, (esp_linear){.outputs = n, .inputs = shape->hidden},
                      "bert.encoder.layer.%d.attention.self.%s", l, names[part]);
    esp_model_add_reader(model, 2 * l, &layer->parts[part]);
  }
  const esp_linear consumer =
      tf_add_linear(model, 2 * l, (esp_linear){.outputs = shape->hidden, .inputs = n},
                    "bert.encoder.layer.%d.attention.output.dense", l);
  layer->norms[0] = tf_add_norm(model, 2 * l, shape->hidden,
                                "bert.encoder.layer.%d.attention.output.LayerNorm", l);
  esp_stage *stage = tf_add_stage(model, "attention", l, shape->head_size, &consumer);
  for (int part = 0; part < 3; part++) tf_add_producer(stage, &layer->parts[part], 0);
}

static void add_feed_forward(esp_model *model, bert_shape *shape, int l, int64_t inner) {
  const int64_t n = shape->hidden;
  bert_layer *layer = &shape->layers[l];
  layer->up = tf_add_linear(model, 2 * l + 1, (esp_linear){.outputs = inner, .inputs = n},
                            "bert.encoder.layer.%d.intermediate.dense", l);
  esp_model_add_reader(model, 2 * l + 1, &layer->up);
  const esp_linear consumer =
      tf_add_linear(model, 2 * l + 1, (esp_linear){.outputs = n, .inputs = inner},
                    "bert.encoder.layer.%d.output.dense", l);
  layer->norms[1] = tf_add_norm(model, 2 * l + 1, n, "bert.encoder.layer.%d.output.LayerNorm", l);
  tf_add_producer(tf_add_stage(model, "ffn", l, 1, &consumer), &layer->up, 0);
}

static esp_status add_layer(esp_model *model, bert_shape *shape, int l) {
  int64_t heads, inner;
  ESP_TRY(tf_get_layer_heads(model->config, l, heads_size, shape->head_size, &heads));
  ESP_TRY(tf_get_layer_size(model->config, l, intermediate_size, &inner));
  add_attention(model, shape, l, heads);
  add_feed_forward(model, shape, l, inner);
  return ESP_OK;
}

static esp_status describe(esp_model *model) {
  int n_layers;
  ESP_TRY(tf_get_layer_count(model->config, (tf_size){"num_hidden_layers", 12}, &n_layers));
  bert_shape *shape = esp_alloc(1, sizeof *shape + (size_t)n_layers * sizeof *shape->layers);
  model->shape = shape;
  model->prefix = "bert.";
  shape->n_layers = n_layers;
  ESP_TRY(bert_head_find(model->config, &shape->head));
  ESP_TRY(read_numbers(model, shape));
  ESP_TRY(tf_check_layers(model->config, n_layers, layer_keys));
  add_embedding(model, shape);
  for (int l = 0; l < n_layers; l++) ESP_TRY(add_layer(model, shape, l));
  return shape->head->describe(model, shape);
}

static esp_status resize(const esp_model *model, const int64_t *units, json_t *config) {
  const bert_shape *shape = get_shape(model);
  for (int k = 0; k < 2; k++)
    tf_set_layer_sizes(config, layer_keys[k], shape->n_layers, units + k, 2);
  const int64_t hidden = units[model->n_stages] > 0 ? units[model->n_stages] : shape->hidden;
  json_object_set_new(config, "hidden_size", json_integer(hidden));
  tf_set_head_size(config, layer_keys[0], hidden, shape->head_size);
  return ESP_OK;
}

static void explain_loader(const esp_model *model, char *why, size_t size) {
  tf_explain_heads(model->config, layer_keys[0], "hidden_size", why, size);
}

/* To the row of its word. */
static void add_place(const esp_model *model, const esp_batch *batch, int64_t r, float *state) {
  const bert_shape *shape = get_shape(model);
  const int32_t type = batch->types ? batch->types[r] : 0;
  ESP_ASSERT(type >= 0 && type < model->token_types);
  const int64_t n = shape->hidden;
  const float *kind = model->weights[shape->token_types].value + type * n;
  const float *position = model->weights[shape->positions].value + r % batch->width * n;
  for (int64_t j = 0; j < n; j++) state[j] = state[j] + kind[j] + position[j];
}

static void embed_tokens(const esp_call *call, float *state) {
  const bert_shape *shape = get_shape(call->model);
  const int64_t rows = esp_call_count_rows(call);
  esp_weight_read_rows(&call->model->weights[shape->words], rows, call->batch.tokens, state);
  for (int64_t r = 0; r < rows; r++)
    add_place(call->model, &call->batch, r, state + r * shape->hidden);
}

static void embed(const esp_call *call, float *state) {
  const bert_shape *shape = get_shape(call->model);
  const int64_t rows = esp_call_count_rows(call);
  ESP_ASSERT(call->batch.width <= call->model->max_length);
  embed_tokens(call, state);
  tf_apply_norm(call->model, shape->norm, shape->epsilon, rows, state, state);
}

static const bert_layer *get_layer(const esp_call *call) {
  return &get_shape(call->model)->layers[call->stage / 2];
}

static op_attention_job make_attention(const esp_call *call, const float *parts) {
  const int64_t head_size = get_shape(call->model)->head_size;
  const int64_t n = call->model->stages[call->stage].consumer.inputs;
  const int64_t part = esp_call_count_rows(call) * n;
  return (op_attention_job){
      .count = call->batch.count,
      .length = call->batch.width,
      .heads = n / head_size,
      .kv_heads = n / head_size,
      .head_size = head_size,
      .lengths = call->batch.lengths,
      .scale = 1.0f / sqrtf((float)head_size),
      .q = parts,
      .k = parts + part,
      .v = parts + 2 * part,
      .q_stride = n,
      .kv_stride = n,
      .workspace = call->workspace,
  };
}

/* Queries, keys and values (3, rows, outputs), scratch. */
static float *compute_parts(const esp_call *call, const float *state) {
  const bert_layer *layer = get_layer(call);
  const int64_t rows = esp_call_count_rows(call), part = rows * layer->parts[0].outputs;
  float *parts = ESP_TAKE(call->workspace, float, 3 * part);
  for (int i = 0; i < 3; i++)
    esp_linear_forward(call->model, &layer->parts[i], rows, state, parts + i * part, false);
  return parts;
}

static void produce_attention(const esp_call *call, const float *state, float *x) {
  op_attention_job job = make_attention(call, compute_parts(call, state));
  job.out = x;
  op_attention(&job);
}

static void produce(const esp_call *call, const float *state, float *x) {
  const esp_linear *up = &get_layer(call)->up;
  const int64_t rows = esp_call_count_rows(call);
  if (tf_is_empty(call->model, call->stage)) return;
  if (call->stage % 2 == 0) {
    produce_attention(call, state, x);
    return;
  }
  tf_linear_activate(call->model, up, &(tf_rows){.n = rows, .x = state},
                     get_shape(call->model)->activation, x);
}

/* The stream is normalised where it is written. */
static void read(const esp_call *call, const float *state, float *normed) {
  const int64_t n = esp_call_count_rows(call) * get_shape(call->model)->hidden;
  memcpy(normed, state, (size_t)n * sizeof *normed);
}

static void finish(const esp_call *call, float *state) {
  tf_apply_norm(call->model, get_layer(call)->norms[call->stage % 2],
                get_shape(call->model)->epsilon, esp_call_count_rows(call), state, state);
}

static void attention_backward(const tf_input *input, const float *dx) {
  const bert_layer *layer = get_layer(input->call);
  const int64_t part = input->rows * layer->parts[0].outputs;
  const float *parts = compute_parts(input->call, input->x);
  float *dparts = ESP_TAKE(input->call->workspace, float, 3 * part);
  const op_attention_job job = make_attention(input->call, parts);
  op_attention_backward(
      &job, &(op_attention_gradients){
                .dout = dx, .dq = dparts, .dk = dparts + part, .dv = dparts + 2 * part});
  for (int i = 0; i < 3; i++) tf_linear_backward(input, &layer->parts[i], dparts + i * part);
}

static tf_input make_input(const esp_backward *self, const float *x, float *dx) {
  return (tf_input){.call = &self->call,
                    .rows = esp_call_count_rows(&self->call),
                    .x = x,
                    .dx = dx,
                    .gradients = self->gradients};
}

static void produce_backward(const esp_backward *self, const float *dx, float *dstate) {
  const esp_call *call = &self->call;
  const tf_input input = make_input(self, self->state, dstate);
  tf_clear_gradient(call, dstate);
  if (tf_is_empty(call->model, call->stage)) return;
  if (call->stage % 2 == 0)
    attention_backward(&input, dx);
  else
    tf_activated_backward(&input, &get_layer(call)->up, get_shape(call->model)->activation, dx);
}

static void finish_backward(const esp_backward *self, const float *given, float *dstate) {
  const esp_call *call = &self->call;
  const tf_input input = make_input(self, given, dstate);
  tf_norm_backward(&input, get_layer(call)->norms[call->stage % 2], get_shape(call->model)->epsilon,
                   dstate);
}

static void add_embedding_gradients(const esp_backward *self, const float *dstate) {
  const esp_batch *batch = &self->call.batch;
  const bert_shape *shape = get_shape(self->call.model);
  float *const *gradients = self->gradients;
  const int64_t n = shape->hidden;
  const int64_t rows = batch->count * batch->width;
  op_scatter(dstate, rows, n, batch->tokens, gradients[shape->words]);
  for (int64_t r = 0; r < rows; r++) {
    const int32_t position = (int32_t)(r % batch->width), type = batch->types ? batch->types[r] : 0;
    op_scatter(dstate + r * n, 1, n, &position, gradients[shape->positions]);
    op_scatter(dstate + r * n, 1, n, &type, gradients[shape->token_types]);
  }
}

/* Through the norm, before which the state is computed again. */
static void embed_backward(const esp_backward *self, const float *dstate) {
  const esp_call *call = &self->call;
  const bert_shape *shape = get_shape(call->model);
  const int64_t rows = esp_call_count_rows(call), n = shape->hidden;
  float *state = ESP_TAKE(call->workspace, float, rows *n);
  float *dsum = ESP_TAKE(call->workspace, float, rows *n);
  const tf_input input = make_input(self, state, dsum);
  embed_tokens(call, state);
  tf_norm_backward(&input, shape->norm, shape->epsilon, dstate);
  add_embedding_gradients(self, dsum);
}

static void head(const esp_call *call, const float *state, float *logits) {
  get_shape(call->model)->head->apply(call, state, logits);
}

static void head_backward(const esp_backward *self, const float *dlogits, float *dstate) {
  get_shape(self->call.model)->head->backward(self, dlogits, dstate);
}

static bool ignores(const esp_model *model, const char *tensor) {
  return tf_ends_with(tensor, "embeddings.position_ids") ||
         get_shape(model)->head->ignores(model, tensor);
}

static const esp_rename renames[] = {
    {"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}, {NULL, NULL}};

static const esp_copy copies[] = {
    {"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"},
    {"cls.predictions.decoder.bias", "cls.predictions.bias"},
    {NULL, NULL}};

const esp_family esp_family_bert = {
    .name = "bert",
    .summary = "BERT encoder, classifier or masked language model",
    .input = ESP_DATA_TOKENS,
    .renames = renames,
    .copies = copies,
    .complete = bert_head_complete,
    .describe = describe,
    .resize = resize,
    .explain_loader = explain_loader,
    .needs_all_heads = tf_needs_all_heads,
    .layers_key = "num_hidden_layers",
    .init = esp_family_init,
    .draw = tf_draw,
    .embed = embed,
    .read = read,
    .produce = produce,
    .finish = finish,
    .head = head,
    .head_backward = head_backward,
    .produce_backward = produce_backward,
    .finish_backward = finish_backward,
    .embed_backward = embed_backward,
    .ignores = ignores,
};
