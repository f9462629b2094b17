/* GPT-2: learned positions, blocks r += attention(norm(r)); r += W_2 f(W_1 norm(r) + b_1) + b_2, a
 * last norm, and a head tied to the token embedding. Its matrices are (inputs, outputs), queries,
 * keys and values in one. */
#include "gpt2.h"

#include "families.h"
#include "fields.h"
#include "ops.h"
#include "transformer.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>

static const gpt2_shape *get_shape(const esp_model *model) {
  return model->shape;
}

static const char *const layer_keys[] = {"n_head", "n_inner", NULL};

/* Of transformers' GPT2Config. */
static const tf_size heads_size = {"n_head", 12};

static esp_status read_numbers(esp_model *model, gpt2_shape *shape) {
  const char *activation = "gelu_new";
  ESP_TRY(config_fields_check(model));
  ESP_TRY(tf_get_text_or(model->config, "activation_function", &activation));
  ESP_TRY(esp_activation_find(activation, &shape->activation));
  shape->epsilon = 1e-5;
  ESP_TRY(tf_get_real_or(model->config, "layer_norm_epsilon", &shape->epsilon));
  shape->is_scaled = true;
  ESP_TRY(tf_get_flag_or(model->config, "scale_attn_weights", &shape->is_scaled));
  ESP_TRY(tf_get_size(model->config, (tf_size){"n_embd", 768}, &shape->hidden));
  ESP_TRY(tf_get_size(model->config, (tf_size){"n_positions", 1024}, &model->max_length));
  ESP_TRY(tf_get_size(model->config, (tf_size){"vocab_size", 50257}, &model->vocabulary));
  ESP_TRY(tf_get_head_size(model->config, heads_size, shape->hidden, &shape->head_size));
  ESP_TRY(tf_get_causal(model->config, &shape->is_causal));
  model->is_head_tied = true;
  return tf_get_flag_or(model->config, "tie_word_embeddings", &model->is_head_tied);
}

static void add_embedding(esp_model *model, gpt2_shape *shape) {
  const int64_t n = shape->hidden;
  shape->tokens =
      esp_model_add_weight(model, (esp_weight_shape){ESP_STAGE_EMBED, 2, {model->vocabulary, n}},
                           "transformer.wte.weight");
  shape->positions_weight =
      esp_model_add_weight(model, (esp_weight_shape){ESP_STAGE_EMBED, 2, {model->max_length, n}},
                           "transformer.wpe.weight");
  model->weights[shape->tokens].is_table = true;
  esp_model_add_width(model, shape->tokens, 1);
  esp_model_add_width(model, shape->positions_weight, 1);
}

static void add_attention(esp_model *model, gpt2_shape *shape, int l, int64_t heads) {
  const int64_t n = heads * shape->head_size;
  gpt2_layer *layer = &shape->layers[l];
  layer->norms[0] = tf_add_norm(model, 2 * l, shape->hidden, "transformer.h.%d.ln_1", l);
  layer->qkv = tf_add_linear(
      model, 2 * l, (esp_linear){.outputs = 3 * n, .inputs = shape->hidden, .input_major = true},
      "transformer.h.%d.attn.c_attn", l);
  esp_model_add_reader(model, 2 * l, &layer->qkv);
  const esp_linear consumer = tf_add_linear(
      model, 2 * l, (esp_linear){.outputs = shape->hidden, .inputs = n, .input_major = true},
      "transformer.h.%d.attn.c_proj", l);
  esp_stage *stage = tf_add_stage(model, "attention", l, shape->head_size, &consumer);
  for (int part = 0; part < 3; part++) tf_add_producer(stage, &layer->qkv, part * n);
}

static void add_feed_forward(esp_model *model, gpt2_shape *shape, int l, int64_t inner) {
  gpt2_layer *layer = &shape->layers[l];
  layer->norms[1] = tf_add_norm(model, 2 * l + 1, shape->hidden, "transformer.h.%d.ln_2", l);
  layer->up =
      tf_add_linear(model, 2 * l + 1,
                    (esp_linear){.outputs = inner, .inputs = shape->hidden, .input_major = true},
                    "transformer.h.%d.mlp.c_fc", l);
  esp_model_add_reader(model, 2 * l + 1, &layer->up);
  const esp_linear consumer =
      tf_add_linear(model, 2 * l + 1,
                    (esp_linear){.outputs = shape->hidden, .inputs = inner, .input_major = true},
                    "transformer.h.%d.mlp.c_proj", l);
  tf_add_producer(tf_add_stage(model, "ffn", l, 1, &consumer), &layer->up, 0);
}

static esp_status add_layer(esp_model *model, gpt2_shape *shape, int l) {
  int64_t heads, inner;
  ESP_TRY(tf_get_layer_heads(model->config, l, heads_size, shape->head_size, &heads));
  ESP_TRY(tf_get_layer_size(model->config, l, (tf_size){layer_keys[1], 4 * shape->hidden}, &inner));
  add_attention(model, shape, l, heads);
  add_feed_forward(model, shape, l, inner);
  return ESP_OK;
}

static esp_status describe(esp_model *model) {
  int n_layers;
  ESP_TRY(tf_get_layer_count(model->config, (tf_size){"n_layer", 12}, &n_layers));
  gpt2_shape *shape = esp_alloc(1, sizeof *shape + (size_t)n_layers * sizeof *shape->layers);
  model->shape = shape;
  model->prefix = "transformer.";
  shape->n_layers = n_layers;
  ESP_TRY(read_numbers(model, shape));
  ESP_TRY(tf_check_layers(model->config, n_layers, layer_keys));
  add_embedding(model, shape);
  for (int l = 0; l < n_layers; l++) ESP_TRY(add_layer(model, shape, l));
  return gpt2_head_describe(model, shape);
}

static esp_status resize(const esp_model *model, const int64_t *units, json_t *config) {
  const gpt2_shape *shape = get_shape(model);
  for (int k = 0; k < 2; k++)
    tf_set_layer_sizes(config, layer_keys[k], shape->n_layers, units + k, 2);
  const int64_t hidden = units[model->n_stages] > 0 ? units[model->n_stages] : shape->hidden;
  json_object_set_new(config, "n_embd", json_integer(hidden));
  tf_set_head_size(config, layer_keys[0], hidden, shape->head_size);
  return ESP_OK;
}

static void explain_loader(const esp_model *model, char *why, size_t size) {
  tf_explain_heads(model->config, layer_keys[0], "n_embd", why, size);
}

/* Radford et al. 2019: the writers of the residual stream are scaled by 1 / sqrt(their number). */
static void draw(const esp_model *model, uint64_t seed, esp_weight_range range, float *values) {
  const float scale = 1.0f / sqrtf((float)model->n_stages);
  bool is_writer = false;
  tf_draw(model, seed, range, values);
  for (int s = 0; s < model->n_stages; s++)
    is_writer = is_writer || model->stages[s].consumer.weight == range.weight;
  for (int64_t i = 0; i < range.n && is_writer; i++) values[i] *= scale;
}

static void embed(const esp_call *call, float *state) {
  const esp_model *model = call->model;
  const esp_batch *batch = &call->batch;
  const gpt2_shape *shape = get_shape(model);
  const float *positions = model->weights[shape->positions_weight].value;
  const int64_t n = shape->hidden;
  ESP_ASSERT(batch->width <= model->max_length);
  esp_weight_read_rows(&model->weights[shape->tokens], batch->count * batch->width, batch->tokens,
                       state);
  for (int64_t r = 0; r < batch->count * batch->width; r++)
    for (int64_t j = 0; j < n; j++) state[r * n + j] += positions[r % batch->width * n + j];
}

static op_attention_job make_attention(const esp_call *call, const float *qkv) {
  const gpt2_shape *shape = get_shape(call->model);
  const int64_t heads = call->model->stages[call->stage].consumer.inputs / shape->head_size;
  const int64_t n = heads * shape->head_size;
  return (op_attention_job){
      .count = call->batch.count,
      .length = call->batch.width,
      .heads = heads,
      .kv_heads = heads,
      .head_size = shape->head_size,
      .lengths = call->batch.lengths,
      .is_causal = shape->is_causal,
      .scale = shape->is_scaled ? 1.0f / sqrtf((float)shape->head_size) : 1.0f,
      .q = qkv,
      .k = qkv + n,
      .v = qkv + 2 * n,
      .q_stride = 3 * n,
      .kv_stride = 3 * n,
      .workspace = call->workspace,
  };
}

static const gpt2_layer *get_layer(const esp_call *call) {
  return &get_shape(call->model)->layers[call->stage / 2];
}

static int get_norm(const esp_call *call) {
  const bool is_head = call->stage == call->model->n_stages;
  return is_head ? get_shape(call->model)->norm : get_layer(call)->norms[call->stage % 2];
}

static void read(const esp_call *call, const float *state, float *normed) {
  tf_apply_norm(call->model, get_norm(call), get_shape(call->model)->epsilon,
                esp_call_count_rows(call), state, normed);
}

/* The stream as normalised for the stage, scratch. */
static float *read_scratch(const esp_call *call, const float *state) {
  const int64_t n = esp_call_count_rows(call) * get_shape(call->model)->hidden;
  float *normed = ESP_TAKE(call->workspace, float, n);
  read(call, state, normed);
  return normed;
}

static void produce_attention(const esp_call *call, const float *normed, float *x) {
  const esp_linear *linear = &get_layer(call)->qkv;
  const int64_t rows = esp_call_count_rows(call);
  float *qkv = ESP_TAKE(call->workspace, float, rows * linear->outputs);
  esp_linear_forward(call->model, linear, rows, normed, qkv, false);
  op_attention_job job = make_attention(call, qkv);
  job.out = x;
  op_attention(&job);
}

static void produce(const esp_call *call, const float *state, float *x) {
  const esp_linear *up = &get_layer(call)->up;
  const int64_t rows = esp_call_count_rows(call);
  if (tf_is_empty(call->model, call->stage)) return;
  const float *normed = read_scratch(call, state);
  if (call->stage % 2 == 0) {
    produce_attention(call, normed, x);
    return;
  }
  tf_linear_activate(call->model, up, &(tf_rows){.n = rows, .x = normed},
                     get_shape(call->model)->activation, x);
}

static void attention_backward(const tf_input *input, const float *dx) {
  const esp_call *call = input->call;
  const esp_linear *linear = &get_layer(call)->qkv;
  const int64_t n = input->rows * linear->outputs, part = linear->outputs / 3;
  float *qkv = ESP_TAKE(call->workspace, float, n), *dqkv = ESP_TAKE(call->workspace, float, n);
  esp_linear_forward(call->model, linear, input->rows, input->x, qkv, false);
  op_attention_job job = make_attention(call, qkv);
  job.out = input->remade;
  op_attention_backward(
      &job,
      &(op_attention_gradients){.dout = dx, .dq = dqkv, .dk = dqkv + part, .dv = dqkv + 2 * part});
  tf_linear_backward(input, linear, dqkv);
}

static void norm_backward(const tf_input *input, const float *state, float *dstate) {
  tf_input norm = *input;
  norm.x = state;
  norm.dx = dstate;
  tf_norm_backward(&norm, get_norm(input->call), get_shape(input->call->model)->epsilon, input->dx);
}

/* The normalised stream, and room for its gradient. */
static tf_input read_input(const esp_backward *self) {
  const esp_call *call = &self->call;
  const int64_t rows = esp_call_count_rows(call), n = rows * get_shape(call->model)->hidden;
  const float *normed = read_scratch(call, self->state);
  float *dnormed = ESP_TAKE(call->workspace, float, n);
  memset(dnormed, 0, (size_t)n * sizeof *dnormed);
  return (tf_input){call, rows, normed, dnormed, self->gradients, self->remade};
}

static void produce_backward(const esp_backward *self, const float *dx, float *dstate) {
  const esp_call *call = &self->call;
  const gpt2_shape *shape = get_shape(call->model);
  if (tf_is_empty(call->model, call->stage)) {
    tf_clear_gradient(call, dstate);
    return;
  }
  const tf_input input = read_input(self);
  if (call->stage % 2 == 0)
    attention_backward(&input, dx);
  else
    tf_activated_backward(&input, &get_layer(call)->up, shape->activation, dx);
  norm_backward(&input, self->state, dstate);
}

static void embed_backward(const esp_backward *self, const float *dstate) {
  const esp_batch *batch = &self->call.batch;
  const gpt2_shape *shape = get_shape(self->call.model);
  const int64_t rows = batch->count * batch->width, n = shape->hidden;
  float *positions = self->gradients[shape->positions_weight];
  op_scatter(dstate, rows, n, batch->tokens, self->gradients[shape->tokens]);
  for (int64_t r = 0; r < rows && positions; r++)
    for (int64_t j = 0; j < n; j++) positions[r % batch->width * n + j] += dstate[r * n + j];
}

/* Causal masks, stored as buffers by older versions, and the tied head's copy. */
static bool ignores(const esp_model *model, const char *tensor) {
  return tf_ends_with(tensor, ".attn.bias") || tf_ends_with(tensor, ".attn.masked_bias") ||
         (model->is_head_tied && strcmp(tensor, "lm_head.weight") == 0);
}

static const esp_copy copies[] = {{"lm_head.weight", "transformer.wte.weight"}, {NULL, NULL}};

const esp_family esp_family_gpt2 = {
    .name = "gpt2",
    .summary = "GPT-2 language model",
    .input = ESP_DATA_TOKENS,
    .copies = copies,
    .complete = gpt2_complete,
    .describe = describe,
    .resize = resize,
    .explain_loader = explain_loader,
    .needs_all_heads = tf_needs_all_heads,
    .layers_key = "n_layer",
    .init = esp_family_init,
    .draw = draw,
    .embed = embed,
    .read = read,
    .produce = produce,
    .head = gpt2_head_apply,
    .head_backward = gpt2_head_backward,
    .produce_backward = produce_backward,
    .embed_backward = embed_backward,
    .ignores = ignores,
};
