/* Backward pass of Llama and its relatives; activations within a stage are computed again. */
#include "llama.h"

#include "transformer.h"

#include "espalier/model/forward.h"

#include <string.h>

static const llama_shape *get_shape(const tf_input *input) {
  return input->call->model->shape;
}

/* dx may be dy. */
static void norm_backward(const tf_input *input, int norm, int64_t rows, const float *x,
                          float *dx) {
  const esp_weight *weight = &input->call->model->weights[norm];
  op_norm_compute_backward(&(op_norm_backward){
      .rows = rows,
      .n = weight->shape[0],
      .x = x,
      .weight = weight->value,
      .dy = dx,
      .epsilon = get_shape(input)->epsilon,
      .dx = dx,
      .dweight = tf_get_gradient(input->gradients, norm),
      .workspace = input->call->workspace,
  });
}

/* Queries, keys and values: before norms and positions, after them, and gradients; scratch. */
typedef struct context {
  float *raw[2];   // queries, keys
  float *parts[3]; // queries, keys, values
  float *dparts[3];
} context;

static void context_init(context *self, const tf_input *input) {
  const llama_layer *layer = llama_get_layer(input->call);
  const esp_linear *linears[3] = {&layer->query, &layer->key, &layer->value};
  esp_workspace *workspace = input->call->workspace;
  for (int i = 0; i < 3; i++) {
    const int64_t n = input->rows * linears[i]->outputs;
    self->parts[i] = ESP_TAKE(workspace, float, n);
    self->dparts[i] = ESP_TAKE(workspace, float, n);
    esp_linear_forward(input->call->model, linears[i], input->rows, input->x, self->parts[i],
                       false);
    if (i == 2) continue;
    self->raw[i] = ESP_TAKE(workspace, float, n);
    memcpy(self->raw[i], self->parts[i], (size_t)n * sizeof(float));
  }
  llama_rotate(input->call, self->parts[0], self->parts[1]);
}

static void attend_backward(const context *self, const esp_call *call, const float *dx,
                            float *remade) {
  op_attention_job job = llama_make_attention(call);
  job.q = self->parts[0];
  job.k = self->parts[1];
  job.v = self->parts[2];
  job.out = remade;
  op_attention_backward(
      &job, &(op_attention_gradients){
                .dout = dx, .dq = self->dparts[0], .dk = self->dparts[1], .dv = self->dparts[2]});
}

/* Undo positions, then the norms of the heads. */
static void turn_back(const context *self, const tf_input *input) {
  const llama_shape *shape = get_shape(input);
  const llama_layer *layer = llama_get_layer(input->call);
  const int64_t heads[2] = {layer->heads, layer->kv_heads}, length = input->call->batch.width;
  const int norms[2] = {layer->query_norm, layer->key_norm};
  const float *angles = llama_compute_angles(input->call);
  const float *cos_sin[2] = {angles, angles + length * shape->head_size / 2};
  for (int i = 0; i < 2; i++) {
    op_rotate_back(input->rows, length, heads[i], shape->head_size, cos_sin, self->dparts[i]);
    if (shape->has_head_norms)
      norm_backward(input, norms[i], input->rows * heads[i], self->raw[i], self->dparts[i]);
  }
}

static void context_backward(const tf_input *input, const float *dx) {
  const llama_layer *layer = llama_get_layer(input->call);
  context self;
  context_init(&self, input);
  attend_backward(&self, input->call, dx, input->remade);
  turn_back(&self, input);
  tf_linear_backward(input, &layer->query, self.dparts[0]);
  tf_linear_backward(input, &layer->key, self.dparts[1]);
  tf_linear_backward(input, &layer->value, self.dparts[2]);
}

static void gate_backward(const tf_input *input, const float *dx) {
  const llama_layer *layer = llama_get_layer(input->call);
  const esp_model *model = input->call->model;
  const int64_t n = input->rows * layer->up.outputs;
  float *gate = ESP_TAKE(input->call->workspace, float, n);
  float *up = ESP_TAKE(input->call->workspace, float, n);
  esp_linear_forward(model, &layer->gate, input->rows, input->x, gate, false);
  esp_linear_forward(model, &layer->up, input->rows, input->x, up, false);
  op_gate_backward(get_shape(input)->activation, n, dx, gate, up, input->remade);
  tf_linear_backward(input, &layer->gate, gate);
  tf_linear_backward(input, &layer->up, up);
}

/* The stream as normalised; its gradient goes into dstate. */
static tf_input read_input(const esp_backward *self, float *dstate) {
  const esp_call *call = &self->call;
  const llama_shape *shape = call->model->shape;
  const int64_t rows = esp_call_count_rows(call), n = rows * shape->hidden;
  float *normed = ESP_TAKE(call->workspace, float, n);
  call->model->family->read(call, self->state, normed);
  memset(dstate, 0, (size_t)n * sizeof *dstate);
  return (tf_input){call, rows, normed, dstate, self->gradients, self->remade};
}

void llama_produce_backward(const esp_backward *self, const float *dx, float *dstate) {
  const esp_call *call = &self->call;
  if (tf_is_empty(call->model, call->stage)) {
    tf_clear_gradient(call, dstate);
    return;
  }
  const tf_input input = read_input(self, dstate);
  if (call->stage % 2 == 0)
    context_backward(&input, dx);
  else
    gate_backward(&input, dx);
  norm_backward(&input, llama_get_norm(call), input.rows, self->state, dstate);
}

/* The gradient of the normalised rows that the head reads: dlogits, or through its map. */
static void map_backward(const esp_backward *self, const float *x, const float *dlogits,
                         float *dnormed) {
  const esp_call *call = &self->call;
  const llama_shape *shape = call->model->shape;
  const int64_t rows = tf_head_count_rows(call), n = rows * shape->hidden;
  if (call->model->task == ESP_TASK_EMBED) {
    memcpy(dnormed, dlogits, (size_t)n * sizeof *dnormed);
    return;
  }
  float *normed = ESP_TAKE(call->workspace, float, n);
  llama_normalise(call->model, shape->norm, rows, x, normed);
  memset(dnormed, 0, (size_t)n * sizeof *dnormed);
  tf_linear_backward(
      &(tf_input){
          .call = call, .rows = rows, .x = normed, .dx = dnormed, .gradients = self->gradients},
      &shape->head.linear, dlogits);
}

void llama_head_backward(const esp_backward *self, const float *dlogits, float *dstate) {
  const esp_call *call = &self->call;
  const llama_shape *shape = call->model->shape;
  const int64_t rows = tf_head_count_rows(call);
  const float *x = tf_head_gather(&shape->head, call, shape->hidden, self->state);
  float *dnormed = ESP_TAKE(call->workspace, float, rows * shape->hidden); // dstate may be dlogits
  map_backward(self, x, dlogits, dnormed);
  const tf_input input = {
      .call = call, .rows = rows, .x = x, .dx = dnormed, .gradients = self->gradients};
  norm_backward(&input, shape->norm, rows, x, dnormed);
  tf_head_scatter(&shape->head, call, shape->hidden, dnormed, dstate);
}

void llama_embed_backward(const esp_backward *self, const float *dstate) {
  const llama_shape *shape = self->call.model->shape;
  op_scatter(dstate, esp_call_count_rows(&self->call), shape->hidden, self->call.batch.tokens,
             self->gradients[shape->embedding]);
}
