#include "espalier/flow/shard.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

#include <string.h>

enum { STREAM_CALIBRATION = 0x5eed };

void esp_shard_init(esp_shard *self, const esp_comm *comm, const esp_dataset *data,
                    const esp_shard_options *options) {
  const int64_t asked = options->samples;
  *self = (esp_shard){.data = data, .micro_batch = options->micro_batch};
  self->samples = asked > 0 && asked < data->count ? asked : data->count;
  self->n_batches = (self->samples + self->micro_batch - 1) / self->micro_batch;
  self->first = esp_block_begin(self->n_batches, comm->size, comm->rank);
  self->count = esp_block_begin(self->n_batches, comm->size, comm->rank + 1) - self->first;
  self->order = ESP_NEW(int64_t, data->count);
  self->n_order = data->count;
  esp_rng_permutation(options->seed, STREAM_CALIBRATION, data->count, self->order);
}

void esp_shard_init_range(esp_shard *self, const esp_dataset *data, esp_sample_range range,
                          int64_t micro_batch) {
  *self = (esp_shard){.data = data,
                      .samples = range.count,
                      .micro_batch = micro_batch,
                      .n_batches = (range.count + micro_batch - 1) / micro_batch,
                      .begin = range.begin};
  self->count = self->n_batches;
}

void esp_shard_init_order(esp_shard *self, const esp_dataset *data, const int64_t *order, int64_t n,
                          int64_t micro_batch) {
  *self = (esp_shard){.data = data, .micro_batch = micro_batch, .n_order = n};
  self->order = ESP_NEW(int64_t, n);
  esp_shard_set_order(self, order);
}

void esp_shard_set_order(esp_shard *self, const int64_t *order) {
  memcpy(self->order, order, (size_t)self->n_order * sizeof *order);
}

void esp_shard_deal_local(const esp_comm *comm, esp_shard *self, esp_sample_range range) {
  ESP_ASSERT(range.begin >= 0 && range.count <= self->n_order - range.begin);
  self->begin = range.begin;
  self->samples = range.count;
  self->n_batches = (range.count + self->micro_batch - 1) / self->micro_batch;
  self->first = esp_block_begin(self->n_batches, comm->size, comm->rank);
  self->count = esp_block_begin(self->n_batches, comm->size, comm->rank + 1) - self->first;
}

void esp_shard_clear(esp_shard *self) {
  esp_free(&self->order);
  esp_batch_buffer_clear(&self->buffer);
}

int64_t esp_shard_count_samples(const esp_shard *self, int64_t i) {
  const int64_t left = self->samples - i * self->micro_batch;
  return left < self->micro_batch ? left : self->micro_batch;
}

int64_t esp_shard_count_rows(const esp_shard *self) {
  return self->micro_batch * (self->data->kind == ESP_DATA_TOKENS ? self->data->width : 1);
}

int64_t esp_shard_count_valid_of(const esp_shard *self, int64_t i, int64_t s) {
  const esp_dataset *data = self->data;
  const int64_t at = self->begin + i * self->micro_batch + s;
  if (data->kind != ESP_DATA_TOKENS) return 1;
  return data->lengths ? data->lengths[self->order ? self->order[at] : at] : data->width;
}

int64_t esp_shard_count_valid(const esp_shard *self, int64_t i) {
  int64_t rows = 0;
  for (int64_t s = 0; s < esp_shard_count_samples(self, i); s++)
    rows += esp_shard_count_valid_of(self, i, s);
  return rows;
}

void esp_shard_read(esp_shard *self, int64_t i, esp_batch *batch) {
  const int64_t begin = self->begin + i * self->micro_batch;
  esp_dataset_read(self->data, self->order, begin, esp_shard_count_samples(self, i), &self->buffer,
                   batch);
  for (int64_t s = 0; s < batch->count && self->masking; s++)
    esp_masking_apply(self->masking, self->order ? self->order[begin + s] : begin + s, s,
                      &self->buffer, batch);
}
