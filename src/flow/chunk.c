#include "espalier/flow/chunk.h"

#include "espalier/core/memory.h"

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

int64_t esp_chunk_choose(const esp_shard *shard, const esp_model *const *models, int n,
                         int64_t state_bytes) {
  const int64_t most = state_bytes > 0 ? state_bytes : (int64_t)ESP_CHUNK_STATE_BYTES;
  int64_t bytes = 0; // of the states of a micro-batch
  for (int m = 0; m < n; m++)
    bytes += esp_shard_count_rows(shard) * models[m]->max_state * (int64_t)sizeof(float);
  return larger(smaller(most / bytes, shard->count), 1);
}

esp_status esp_chunk_open(esp_chunk *self, esp_model *model, esp_shard *shard, int64_t begin,
                          int64_t most) {
  const int64_t count = larger(smaller(most, shard->count - begin), 0);
  *self = (esp_chunk){.logits = NULL};
  esp_stream_init(&self->stream, &(esp_stream_options){.model = model,
                                                       .shard = shard,
                                                       .first = shard->first + begin,
                                                       .count = count});
  if (count == 0) return ESP_OK;
  ESP_TRY(esp_stream_run(&self->stream, NULL));
  ESP_TRY(esp_model_load_local(model, model->n_stages));
  self->logits = ESP_NEW(float, self->stream.rows * model->n_outputs);
  return ESP_OK;
}

esp_batch esp_chunk_read(esp_chunk *self, int64_t k) {
  const esp_step step = esp_stream_step(&self->stream, self->stream.model->n_stages, k);
  esp_call_head(&step.call, step.state, self->logits);
  return step.call.batch;
}

void esp_chunk_close(esp_chunk *self) {
  esp_free(&self->logits);
  esp_stream_unload(&self->stream, self->stream.model->n_stages);
  esp_stream_clear(&self->stream);
}
