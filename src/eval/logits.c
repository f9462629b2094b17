#include "stream.h"

#include "espalier/io/h5.h"

static esp_h5_shape choose_shape(const esp_model *model, const esp_dataset *data, int64_t n) {
  if (model->task == ESP_TASK_CLASSIFY) return (esp_h5_shape){ESP_F32, 2, {n, model->n_outputs}};
  return (esp_h5_shape){ESP_F32, 3, {n, data->width, model->n_outputs}};
}

typedef struct output {
  const esp_comm *comm;
  esp_h5 *file;
  const char *name;
} output;

/* Micro-batch i + k of every rank that has one. Collective. */
static esp_status write_one(output *self, eval_stream *stream, const esp_model *model, int64_t i,
                            int64_t k) {
  esp_h5_slab slab = {0};
  if (k < eval_stream_count(stream, i)) {
    esp_batch batch;
    eval_stream_read(stream, model, i, k, &batch);
    slab.begin = stream->begin + (i + k) * stream->size;
    slab.count = batch.count;
  }
  return esp_h5_write_part(self->file, self->name, &slab, stream->logits);
}

/* Ranks have chunks of unequal size and number; all take part in every call. */
static esp_status write_chunk(output *self, eval_stream *stream, esp_model *model, int64_t i) {
  esp_status status = esp_agree(self->comm, eval_stream_advance_local(stream, model, i));
  const int64_t n = esp_agree_max_i64(self->comm, eval_stream_count(stream, i));
  for (int64_t k = 0; k < n && status == ESP_OK; k++) status = write_one(self, stream, model, i, k);
  eval_stream_finish(stream, model);
  return status;
}

static esp_status write_all(output *self, eval_stream *stream, esp_model *model) {
  const int64_t n = esp_agree_max_i64(self->comm, stream->n_batches);
  const int64_t chunk = esp_agree_max_i64(self->comm, stream->chunk);
  for (int64_t i = 0; i < n; i += chunk) ESP_TRY(write_chunk(self, stream, model, i));
  return ESP_OK;
}

static esp_status write_file(output *self, eval_stream *stream, esp_model *model,
                             const esp_h5_shape *shape, const char *path) {
  ESP_TRY(esp_h5_create(self->comm, path, &self->file));
  ESP_TRY(esp_h5_allot(self->file, self->name, shape));
  ESP_TRY(write_all(self, stream, model));
  return esp_h5_commit(&self->file);
}

esp_status esp_eval_write_logits(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                                 int64_t n, const esp_eval_options *options, const char *path) {
  ESP_TRY(esp_agree(comm, esp_model_check_data(model, data)));
  n = n > 0 && n < data->count ? n : data->count;
  const esp_h5_shape shape = choose_shape(model, data, n);
  const int64_t begin = esp_block_begin(n, comm->size, comm->rank);
  const eval_samples mine = {data, begin, esp_block_begin(n, comm->size, comm->rank + 1) - begin};
  const esp_model *const models[1] = {model};
  output self = {.comm = comm, .name = model->task == ESP_TASK_EMBED ? "/embeddings" : "/logits"};
  eval_stream stream;
  eval_stream_init(&stream, &mine, models, 1, eval_state_bytes(options));
  const esp_status status = write_file(&self, &stream, model, &shape, path);
  esp_h5_close(&self.file);
  eval_stream_clear(&stream);
  return status;
}
