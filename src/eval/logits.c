#include "eval_internal.h"

#include "espalier/flow/chunk.h"
#include "espalier/io/h5.h"

static esp_h5_shape choose_shape(const esp_model *model, const esp_dataset *data, int64_t n) {
  if (esp_model_is_by_sample(model)) return (esp_h5_shape){ESP_F32, 2, {n, model->n_outputs}};
  return (esp_h5_shape){ESP_F32, 3, {n, data->width, model->n_outputs}};
}

typedef struct output {
  const esp_comm *comm;
  esp_h5 *file;
  const char *name;
  esp_model *model;
  esp_shard shard;
  int64_t chunk; // micro-batches
} output;

/* Micro-batch k of every rank's chunk that has one. Collective. */
static esp_status write_one(output *self, esp_chunk *chunk, int64_t k) {
  esp_h5_slab slab = {0};
  if (k < chunk->stream.count) {
    slab.count = esp_chunk_read(chunk, k).count;
    slab.begin = self->shard.begin + chunk->stream.numbers[k] * self->shard.micro_batch;
  }
  return esp_h5_write_part(self->file, self->name, &slab, chunk->logits);
}

/* Ranks have chunks of unequal size and number; all take part in every call. */
static esp_status write_chunk(output *self, int64_t i) {
  esp_chunk chunk;
  esp_status status =
      esp_agree(self->comm, esp_chunk_open(&chunk, self->model, &self->shard, i, self->chunk));
  const int64_t n = esp_agree_max_i64(self->comm, chunk.stream.count);
  for (int64_t k = 0; k < n && status == ESP_OK; k++) status = write_one(self, &chunk, k);
  esp_chunk_close(&chunk);
  return status;
}

static esp_status write_all(output *self) {
  const int64_t n = esp_agree_max_i64(self->comm, self->shard.count);
  self->chunk = esp_agree_max_i64(self->comm, self->chunk);
  for (int64_t i = 0; i < n; i += self->chunk) ESP_TRY(write_chunk(self, i));
  return ESP_OK;
}

static esp_status write_file(output *self, const esp_h5_shape *shape, const char *path) {
  ESP_TRY(esp_h5_create(self->comm, path, &self->file));
  ESP_TRY(esp_h5_allot(self->file, self->name, shape));
  ESP_TRY(write_all(self));
  return esp_h5_commit(&self->file);
}

esp_status esp_eval_write_logits(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                                 int64_t n, const esp_eval_options *options, const char *path) {
  ESP_TRY(esp_agree(comm, esp_model_check_data(model, data)));
  n = n > 0 && n < data->count ? n : data->count;
  const esp_h5_shape shape = choose_shape(model, data, n);
  const int64_t begin = esp_block_begin(n, comm->size, comm->rank);
  const int64_t end = esp_block_begin(n, comm->size, comm->rank + 1);
  output self = {.comm = comm,
                 .name = model->task == ESP_TASK_EMBED ? "/embeddings" : "/logits",
                 .model = model};
  eval_shard_init(&self.shard, data, (esp_sample_range){begin, end - begin});
  self.chunk = esp_chunk_choose(&self.shard, (const esp_model *const[1]){model}, 1,
                                options ? options->state_bytes : 0);
  const esp_status status = write_file(&self, &shape, path);
  esp_h5_close(&self.file);
  esp_shard_clear(&self.shard);
  return status;
}
