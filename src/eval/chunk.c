#include "eval_internal.h"

#include "espalier/core/memory.h"

enum { IMAGES = 256, TOKENS = 1024 };

int64_t esp_eval_batch(const esp_dataset *data) {
  if (data->kind != ESP_DATA_TOKENS) return IMAGES;
  return data->width < TOKENS ? TOKENS / data->width : 1;
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

esp_sample_range eval_deal_local(const esp_comm *comm, const esp_dataset *data) {
  const int64_t size = esp_eval_batch(data), n = (data->count + size - 1) / size;
  const int64_t begin = smaller(data->count, size * esp_block_begin(n, comm->size, comm->rank));
  const int64_t end = smaller(data->count, size * esp_block_begin(n, comm->size, comm->rank + 1));
  return (esp_sample_range){begin, end - begin};
}

void eval_shard_init(esp_shard *self, const esp_dataset *data, esp_sample_range samples) {
  esp_shard_init_range(self, data, samples, esp_eval_batch(data));
}

int64_t eval_choose_chunk(const esp_shard *shard, const esp_model *const *models, int n,
                          const esp_eval_options *options) {
  const bool is_set = options && options->state_bytes > 0;
  const int64_t most = is_set ? options->state_bytes : (int64_t)ESP_EVAL_STATE_BYTES;
  int64_t bytes = 0; // of the states of a micro-batch
  for (int m = 0; m < n; m++)
    bytes += esp_shard_count_rows(shard) * models[m]->max_state * (int64_t)sizeof(float);
  return larger(smaller(most / bytes, shard->count), 1);
}

esp_status eval_chunk_open(eval_chunk *self, esp_model *model, esp_shard *shard, int64_t begin,
                           int64_t most) {
  const int64_t count = larger(smaller(most, shard->count - begin), 0);
  *self = (eval_chunk){.logits = NULL};
  esp_stream_init(
      &self->stream,
      &(esp_stream_options){.model = model, .shard = shard, .first = begin, .count = count});
  if (count == 0) return ESP_OK;
  ESP_TRY(esp_stream_run(&self->stream, NULL));
  ESP_TRY(esp_model_load_local(model, model->n_stages));
  self->logits = ESP_NEW(float, self->stream.rows * model->n_outputs);
  return ESP_OK;
}

esp_batch eval_chunk_read(eval_chunk *self, int64_t k) {
  const esp_step step = esp_stream_step(&self->stream, self->stream.model->n_stages, k);
  esp_call_head(&step.call, step.state, self->logits);
  return step.call.batch;
}

void eval_chunk_close(eval_chunk *self) {
  esp_free(&self->logits);
  esp_stream_unload(&self->stream, self->stream.model->n_stages);
  esp_stream_clear(&self->stream);
}
