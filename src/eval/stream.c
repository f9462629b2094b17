#include "stream.h"

#include "espalier/core/memory.h"

enum { IMAGES = 256, TOKENS = 1024 };

int64_t esp_eval_batch(const esp_dataset *data) {
  if (data->kind != ESP_DATA_TOKENS) return IMAGES;
  return data->width < TOKENS ? TOKENS / data->width : 1;
}

int64_t eval_state_bytes(const esp_eval_options *options) {
  return options && options->state_bytes > 0 ? options->state_bytes : (int64_t)ESP_EVAL_STATE_BYTES;
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

eval_samples eval_deal_local(const esp_comm *comm, const esp_dataset *data) {
  const int64_t size = esp_eval_batch(data), n = (data->count + size - 1) / size;
  const int64_t begin = smaller(data->count, size * esp_block_begin(n, comm->size, comm->rank));
  const int64_t end = smaller(data->count, size * esp_block_begin(n, comm->size, comm->rank + 1));
  return (eval_samples){data, begin, end - begin};
}

void eval_stream_init(eval_stream *self, const eval_samples *samples,
                      const esp_model *const *models, int n, int64_t state_bytes) {
  *self = (eval_stream){.data = samples->data,
                        .begin = samples->begin,
                        .count = samples->count,
                        .size = esp_eval_batch(samples->data)};
  for (int m = 0; m < n; m++) {
    self->max_state = larger(self->max_state, models[m]->max_state);
    self->max_features = larger(self->max_features, models[m]->max_features);
    self->max_outputs = larger(self->max_outputs, models[m]->n_outputs);
  }
  self->rows = self->size * (self->data->kind == ESP_DATA_TOKENS ? self->data->width : 1);
  self->n_batches = (self->count + self->size - 1) / self->size;
  const int64_t batch_bytes = self->rows * self->max_state * (int64_t)sizeof(float);
  self->chunk = smaller(larger(state_bytes / batch_bytes, 1), self->n_batches);
  self->states = ESP_NEW(float, self->chunk * self->rows * self->max_state);
}

void eval_stream_clear(eval_stream *self) {
  esp_free(&self->states);
  esp_free(&self->x);
  esp_free(&self->logits);
  esp_batch_buffer_clear(&self->buffer);
}

int64_t eval_stream_count(const eval_stream *self, int64_t i) {
  return i < self->n_batches ? smaller(self->chunk, self->n_batches - i) : 0;
}

static float *state_of(const eval_stream *self, int64_t k) {
  return self->states + k * self->rows * self->max_state;
}

static void read_batch(eval_stream *self, int64_t i, esp_batch *batch) {
  esp_dataset_read(self->data, NULL, self->begin + i * self->size,
                   smaller(self->size, self->count - i * self->size), &self->buffer, batch);
}

/* The k-th micro-batch of the chunk at i through one stage, or into the first. */
static void run_stage(eval_stream *self, const esp_model *model, int stage, int64_t i, int64_t k) {
  esp_batch batch;
  read_batch(self, i + k, &batch);
  if (stage == ESP_STAGE_EMBED) {
    model->family->embed(model, &batch, state_of(self, k));
    return;
  }
  model->family->produce(model, stage, &batch, state_of(self, k), self->x);
  esp_stage_consume(model, stage, esp_batch_count_rows(&batch), self->x, state_of(self, k));
  esp_stage_finish(model, stage, &batch, state_of(self, k));
}

static esp_status run_stages(eval_stream *self, esp_model *model, int64_t i) {
  const int64_t n = eval_stream_count(self, i);
  for (int stage = ESP_STAGE_EMBED; stage < model->n_stages; stage++) {
    ESP_TRY(esp_model_load_local(model, stage));
    for (int64_t k = 0; k < n; k++) run_stage(self, model, stage, i, k);
    esp_model_unload(model, stage);
  }
  return ESP_OK;
}

esp_status eval_stream_advance_local(eval_stream *self, esp_model *model, int64_t i) {
  if (eval_stream_count(self, i) == 0) return ESP_OK;
  self->x = ESP_NEW(float, self->rows * self->max_features);
  const esp_status status = run_stages(self, model, i);
  esp_free(&self->x);
  ESP_TRY(status);
  ESP_TRY(esp_model_load_local(model, model->n_stages));
  self->logits = ESP_NEW(float, self->rows * self->max_outputs);
  return ESP_OK;
}

void eval_stream_read(eval_stream *self, const esp_model *model, int64_t i, int64_t k,
                      esp_batch *batch) {
  read_batch(self, i + k, batch);
  model->family->head(model, batch, state_of(self, k), self->logits);
}

void eval_stream_finish(eval_stream *self, esp_model *model) {
  esp_free(&self->logits);
  esp_model_unload(model, model->n_stages);
}

esp_status eval_stream_visit_local(eval_stream *self, esp_model *model, int64_t i, eval_visit visit,
                                   void *context) {
  esp_status status = eval_stream_advance_local(self, model, i);
  for (int64_t k = 0; k < eval_stream_count(self, i) && status == ESP_OK; k++) {
    esp_batch batch;
    eval_stream_read(self, model, i, k, &batch);
    status = visit(context, &batch, self->logits);
  }
  eval_stream_finish(self, model);
  return status;
}
