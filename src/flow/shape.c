#include "espalier/flow/shape.h"

#include "espalier/core/memory.h"
#include "espalier/io/cost.h"

void esp_shard_shape_init(esp_shard_shape *self, const esp_shard *shard, int ranks) {
  const int64_t batch_rows = esp_shard_count_rows(shard);
  const double order = sizeof *shard->order * (double)shard->data->count;
  const double batch = sizeof(float) * (double)(shard->micro_batch * shard->data->width);
  *self = (esp_shard_shape){.ranks = ranks,
                            .samples = shard->samples,
                            .n_batches = shard->n_batches,
                            .batch_rows = batch_rows,
                            .tokens = batch_rows / shard->micro_batch,
                            .share = esp_block_begin(shard->n_batches, ranks, 1),
                            .valid = ESP_NEW(int64_t, shard->n_batches),
                            .read_bytes = esp_dataset_bytes(shard->data)};
  self->held_bytes = self->read_bytes + order + batch;
  for (int64_t i = 0; i < shard->n_batches; i++) {
    self->valid[i] = esp_shard_count_valid(shard, i);
    self->rows += self->valid[i];
  }
}

void esp_shard_shape_clear(esp_shard_shape *self) {
  esp_free(&self->valid);
}

int64_t esp_shard_shape_count(const esp_shard_shape *self, int rank) {
  return esp_block_begin(self->n_batches, self->ranks, rank + 1) -
         esp_block_begin(self->n_batches, self->ranks, rank);
}

int64_t esp_shard_shape_count_batches(const esp_shard_shape *self, int64_t rows) {
  const int64_t n = (rows + self->batch_rows - 1) / self->batch_rows;
  return n < 1 ? 1 : n < self->n_batches ? n : self->n_batches;
}

int64_t esp_shard_shape_count_spread(const esp_shard_shape *self, int64_t n) {
  int64_t rows = 0;
  for (int64_t i = 0; i < n; i++) rows += self->valid[i * self->n_batches / n];
  return rows;
}

double esp_shard_shape_state_bytes(const esp_shard_shape *self, double floats) {
  return sizeof(float) * (double)(self->share * self->batch_rows) * floats;
}
