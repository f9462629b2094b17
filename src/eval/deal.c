#include "eval_internal.h"

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
  const int64_t batch = smaller(esp_eval_batch(data), data->count); // room for what there is
  esp_shard_init_range(self, data, samples, larger(batch, 1));
}
