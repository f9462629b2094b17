/* Forward pass of Llama and its relatives. */
#include "llama.h"

#include "transformer.h"

#include "espalier/model/forward.h"

#include <math.h>

static const llama_shape *get_shape(const esp_model *model) {
  return model->shape;
}

void llama_embed(const esp_call *call, float *state) {
  const llama_shape *shape = get_shape(call->model);
  esp_weight_read_rows(&call->model->weights[shape->embedding], esp_call_count_rows(call),
                       call->batch.tokens, state);
}

void llama_normalise(const esp_model *model, int weight, int64_t rows, const float *x, float *y) {
  op_rms_norm(rows, model->weights[weight].shape[0], x, model->weights[weight].value,
              get_shape(model)->epsilon, y);
}

const llama_layer *llama_get_layer(const esp_call *call) {
  return &get_shape(call->model)->layers[call->stage / 2];
}

const float *llama_compute_angles(const esp_call *call) {
  const llama_shape *shape = get_shape(call->model);
  const int64_t length = call->batch.width, n = length * shape->head_size / 2;
  float *angles = ESP_TAKE(call->workspace, float, 2 * n);
  rope_fill(&shape->rope, length, angles, angles + n);
  return angles;
}

void llama_rotate(const esp_call *call, float *q, float *k) {
  const esp_model *model = call->model;
  const llama_shape *shape = get_shape(model);
  const llama_layer *layer = llama_get_layer(call);
  const int64_t rows = esp_call_count_rows(call), length = call->batch.width;
  const float *angles = llama_compute_angles(call);
  const float *cos_sin[2] = {angles, angles + length * shape->head_size / 2};
  if (shape->has_head_norms) {
    llama_normalise(model, layer->query_norm, rows * layer->heads, q, q);
    llama_normalise(model, layer->key_norm, rows * layer->kv_heads, k, k);
  }
  op_rotate(rows, length, layer->heads, shape->head_size, cos_sin, q);
  op_rotate(rows, length, layer->kv_heads, shape->head_size, cos_sin, k);
}

op_attention_job llama_make_attention(const esp_call *call) {
  const llama_layer *layer = llama_get_layer(call);
  const int64_t size = get_shape(call->model)->head_size;
  return (op_attention_job){
      .count = call->batch.count,
      .length = call->batch.width,
      .heads = layer->heads,
      .kv_heads = layer->kv_heads,
      .head_size = size,
      .lengths = call->batch.lengths,
      .is_causal = get_shape(call->model)->is_causal,
      .window = layer->window,
      .scale = 1.0f / sqrtf((float)size),
      .q_stride = layer->query.outputs,
      .kv_stride = layer->key.outputs,
      .workspace = call->workspace,
  };
}

/* The context takes the place of the queries. */
static void produce_context(const esp_call *call, const float *normed, float *x) {
  const llama_layer *layer = llama_get_layer(call);
  const int64_t rows = esp_call_count_rows(call);
  float *k = ESP_TAKE(call->workspace, float, rows * layer->key.outputs);
  float *v = ESP_TAKE(call->workspace, float, rows * layer->value.outputs);
  esp_linear_forward(call->model, &layer->query, rows, normed, x, false);
  esp_linear_forward(call->model, &layer->key, rows, normed, k, false);
  esp_linear_forward(call->model, &layer->value, rows, normed, v, false);
  llama_rotate(call, x, k);
  op_attention_job job = llama_make_attention(call);
  job.q = job.out = x;
  job.k = k;
  job.v = v;
  op_attention(&job);
}

static void produce_gated(const esp_call *call, const float *normed, float *x) {
  const llama_layer *layer = llama_get_layer(call);
  const int64_t rows = esp_call_count_rows(call);
  float *up = ESP_TAKE(call->workspace, float, rows * layer->up.outputs);
  esp_linear_forward(call->model, &layer->up, rows, normed, up, false);
  tf_linear_activate(call->model, &layer->gate, &(tf_rows){rows, normed, up},
                     get_shape(call->model)->activation, x);
}

int llama_get_norm(const esp_call *call) {
  const bool is_head = call->stage == call->model->n_stages;
  return is_head ? get_shape(call->model)->norm : llama_get_layer(call)->norms[call->stage % 2];
}

void llama_read_stream(const esp_call *call, const float *state, float *normed) {
  llama_normalise(call->model, llama_get_norm(call), esp_call_count_rows(call), state, normed);
}

/* The stream as normalised for the stage, scratch. */
static const float *read_scratch(const esp_call *call, const float *state) {
  const int64_t n = esp_call_count_rows(call) * get_shape(call->model)->hidden;
  float *normed = ESP_TAKE(call->workspace, float, n);
  llama_read_stream(call, state, normed);
  return normed;
}

void llama_produce(const esp_call *call, const float *state, float *x) {
  if (tf_is_empty(call->model, call->stage)) return;
  const float *normed = read_scratch(call, state);
  if (call->stage % 2 == 0)
    produce_context(call, normed, x);
  else
    produce_gated(call, normed, x);
}

void llama_head(const esp_call *call, const float *state, float *logits) {
  const llama_shape *shape = get_shape(call->model);
  const int64_t rows = tf_head_count_rows(call);
  const float *x = tf_head_gather(&shape->head, call, shape->hidden, state);
  if (call->model->task == ESP_TASK_EMBED) {
    llama_normalise(call->model, shape->norm, rows, x, logits);
    return;
  }
  float *normed = ESP_TAKE(call->workspace, float, rows * shape->hidden);
  llama_normalise(call->model, shape->norm, rows, x, normed);
  tf_head_map(call, &shape->head.linear, rows, normed, logits);
}
