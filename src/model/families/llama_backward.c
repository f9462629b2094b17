/* Backward pass of Llama and its relatives; activations within a stage are computed again. */
#include "llama.h"

#include "transformer.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <string.h>

static const llama_shape *get_shape(const esp_model *model) {
  return model->shape;
}

/* dx may be dy. */
static void norm_backward(const tf_input *input, int norm, int64_t rows, const float *x,
                          float *dx) {
  const esp_weight *weight = &input->model->weights[norm];
  op_norm_compute_backward(&(op_norm_backward){
      .rows = rows,
      .n = weight->shape[0],
      .x = x,
      .weight = weight->value,
      .dy = dx,
      .epsilon = get_shape(input->model)->epsilon,
      .dx = dx,
      .dweight = tf_get_gradient(input->gradients, norm),
  });
}

/* Queries, keys and values: before norms and positions, after them, and gradients. */
typedef struct context {
  float *raw[2];   // queries, keys
  float *parts[3]; // queries, keys, values
  float *dparts[3];
} context;

static void context_init(context *self, const tf_input *input, const llama_layer *layer,
                         const esp_batch *batch) {
  const esp_linear *linears[3] = {&layer->query, &layer->key, &layer->value};
  for (int i = 0; i < 3; i++) {
    const int64_t n = input->rows * linears[i]->outputs;
    self->parts[i] = ESP_NEW(float, n);
    self->dparts[i] = ESP_NEW(float, n);
    esp_linear_forward(input->model, linears[i], input->rows, input->x, self->parts[i], false);
    if (i == 2) continue;
    self->raw[i] = ESP_NEW(float, n);
    memcpy(self->raw[i], self->parts[i], (size_t)n * sizeof(float));
  }
  llama_rotate(input->model, layer, batch, self->parts[0], self->parts[1]);
}

static void context_clear(context *self) {
  for (int i = 0; i < 2; i++) esp_free(&self->raw[i]);
  for (int i = 0; i < 3; i++) esp_free(&self->parts[i]);
  for (int i = 0; i < 3; i++) esp_free(&self->dparts[i]);
}

static void attend_backward(const context *self, const llama_layer *layer, const esp_batch *batch,
                            const float *dx) {
  op_attention_job job = llama_make_attention(layer, batch);
  job.q = self->parts[0];
  job.k = self->parts[1];
  job.v = self->parts[2];
  op_attention_backward(
      &job, &(op_attention_gradients){
                .dout = dx, .dq = self->dparts[0], .dk = self->dparts[1], .dv = self->dparts[2]});
}

/* Undo positions, then the norms of the heads. */
static void turn_back(const context *self, const tf_input *input, const llama_layer *layer,
                      const esp_batch *batch) {
  const llama_shape *shape = get_shape(input->model);
  const int64_t heads[2] = {layer->heads, layer->kv_heads}, length = batch->width;
  const int norms[2] = {layer->query_norm, layer->key_norm};
  float *angles = llama_compute_angles(input->model, length);
  const float *cos_sin[2] = {angles, angles + length * shape->head_size / 2};
  for (int i = 0; i < 2; i++) {
    op_rotate_back(input->rows, length, heads[i], shape->head_size, cos_sin, self->dparts[i]);
    if (shape->has_head_norms)
      norm_backward(input, norms[i], input->rows * heads[i], self->raw[i], self->dparts[i]);
  }
  esp_free(&angles);
}

static void context_backward(const tf_input *input, const llama_layer *layer,
                             const esp_batch *batch, const float *dx) {
  context self;
  context_init(&self, input, layer, batch);
  attend_backward(&self, layer, batch, dx);
  turn_back(&self, input, layer, batch);
  tf_linear_backward(input, &layer->query, self.dparts[0]);
  tf_linear_backward(input, &layer->key, self.dparts[1]);
  tf_linear_backward(input, &layer->value, self.dparts[2]);
  context_clear(&self);
}

static void gate_backward(const tf_input *input, const llama_layer *layer, const float *dx) {
  const int64_t n = input->rows * layer->up.outputs;
  float *gate = ESP_NEW(float, n), *up = ESP_NEW(float, n);
  esp_linear_forward(input->model, &layer->gate, input->rows, input->x, gate, false);
  esp_linear_forward(input->model, &layer->up, input->rows, input->x, up, false);
  op_gate_backward(get_shape(input->model)->activation, n, dx, gate, up);
  tf_linear_backward(input, &layer->gate, gate);
  tf_linear_backward(input, &layer->up, up);
  esp_free(&up);
  esp_free(&gate);
}

/* The stream as normalised; its gradient goes into dstate. */
static tf_input read_input(const esp_model *model, int stage, const esp_batch *batch,
                           const float *state, float *dstate) {
  const int64_t rows = esp_batch_count_rows(batch), n = rows * get_shape(model)->hidden;
  float *normed = ESP_NEW(float, n);
  model->family->read(model, stage, batch, state, normed);
  memset(dstate, 0, (size_t)n * sizeof *dstate);
  return (tf_input){.model = model, .rows = rows, .x = normed, .dx = dstate};
}

static void release_input(tf_input *input) {
  esp_release((void *)(uintptr_t)input->x);
}

void llama_produce_backward(const esp_stage_backward *self, const float *dx, float *dstate) {
  const llama_layer *layer = &get_shape(self->model)->layers[self->stage / 2];
  if (tf_is_empty(self->model, self->stage)) {
    tf_clear_gradient(self->model, self->stage, esp_batch_count_rows(self->batch), dstate);
    return;
  }
  tf_input input = read_input(self->model, self->stage, self->batch, self->state, dstate);
  input.gradients = self->gradients;
  if (self->stage % 2 == 0)
    context_backward(&input, layer, self->batch, dx);
  else
    gate_backward(&input, layer, dx);
  norm_backward(&input, llama_get_norm(self->model, self->stage), input.rows, self->state, dstate);
  release_input(&input);
}

void llama_head_backward(const esp_model *model, const esp_batch *batch, const float *state,
                         const float *dlogits, float *dstate, float *const *gradients) {
  const int64_t n = esp_batch_count_rows(batch) * get_shape(model)->hidden;
  float *dnormed = ESP_NEW(float, n); // dstate may be dlogits
  tf_input input = read_input(model, model->n_stages, batch, state, dnormed);
  input.gradients = gradients;
  tf_linear_backward(&input, &get_shape(model)->head, dlogits);
  norm_backward(&input, get_shape(model)->norm, input.rows, state, dnormed);
  memcpy(dstate, dnormed, (size_t)n * sizeof *dstate);
  release_input(&input);
  esp_free(&dnormed);
}

void llama_embed_backward(const esp_model *model, const esp_batch *batch, const float *dstate,
                          float *const *gradients) {
  const llama_shape *shape = get_shape(model);
  if (gradients)
    op_scatter(dstate, esp_batch_count_rows(batch), shape->hidden, batch->tokens,
               gradients[shape->embedding]);
}
