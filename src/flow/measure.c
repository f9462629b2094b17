#include "espalier/flow/measure.h"

#include "espalier/flow/chunk.h"

/* Where a measurement has got to. */
typedef struct measuring {
  const esp_measurement *what;
  esp_shard *shard;
  esp_tally *tally;
} measuring;

static esp_status measure(const measuring *self, const esp_outputs *outputs) {
  self->what->objective->measure(outputs, self->tally);
  if (!self->tally->is_undefined) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "%s: expected finite logits, found others; the weights are too large",
                  self->shard->data->path);
}

/* What a micro-batch has added to the tally. */
static void note(const measuring *self, int64_t number, const esp_tally *before) {
  if (!self->what->each) return;
  self->what->each[2 * number] = self->tally->loss - before->loss;
  self->what->each[2 * number + 1] = self->tally->targets - before->targets;
}

/* Micro-batches of a chunk; taught NULL: there is no teacher. */
static esp_status measure_read(const measuring *self, esp_chunk *chunk, esp_chunk *taught) {
  esp_status status = ESP_OK;
  for (int64_t k = 0; k < chunk->stream.count && status == ESP_OK; k++) {
    if (taught) esp_chunk_read(taught, k);
    const esp_batch batch = esp_chunk_read(chunk, k);
    const esp_tally before = *self->tally;
    status = measure(self, &(esp_outputs){.model = self->what->model,
                                          .batch = &batch,
                                          .logits = chunk->logits,
                                          .teacher = taught ? taught->logits : NULL,
                                          .options = self->what->options,
                                          .workspace = chunk->stream.workspace});
    note(self, chunk->stream.numbers[k], &before);
  }
  return status;
}

static esp_status measure_chunk(const measuring *self, int64_t begin, int64_t most) {
  esp_model *const teacher = self->what->teacher;
  esp_chunk chunk, taught;
  esp_status status = ESP_OK;
  if (teacher) status = esp_chunk_open(&taught, teacher, self->shard, begin, most);
  const esp_status opened = esp_chunk_open(&chunk, self->what->model, self->shard, begin, most);
  if (status == ESP_OK) status = opened;
  if (status == ESP_OK) status = measure_read(self, &chunk, teacher ? &taught : NULL);
  esp_chunk_close(&chunk);
  if (teacher) esp_chunk_close(&taught);
  return status;
}

esp_status esp_measure_local(const esp_measurement *self, esp_shard *shard, esp_tally *tally) {
  const esp_model *const models[2] = {self->model, self->teacher};
  const int64_t most = esp_chunk_choose(shard, models, self->teacher ? 2 : 1, self->state_bytes);
  const measuring state = {self, shard, tally};
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < shard->count && status == ESP_OK; i += most)
    status = measure_chunk(&state, i, most);
  return status;
}
