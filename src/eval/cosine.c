#include "stream.h"

#include "espalier/core/memory.h"

#include <inttypes.h>
#include <math.h>

/* Mean of a sequence's states over its tokens. */
static void average(const float *states, int64_t rows, int64_t n, double *mean) {
  for (int64_t j = 0; j < n; j++) mean[j] = 0.0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) mean[j] += states[r * n + j] / (double)rows;
}

static double compute_cosine(const double *a, const double *b, int64_t n) {
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (int64_t j = 0; j < n; j++) {
    ab += a[j] * b[j];
    aa += a[j] * a[j];
    bb += b[j] * b[j];
  }
  return aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : 0.0;
}

/* The reference goes first through a chunk and leaves its means. */
typedef struct comparison {
  int64_t n;            // D
  double *means, *mean; // (samples of a chunk, D) of the reference; (D) scratch
  int64_t done;         // samples of the chunk
  int64_t sum;          // of cosines in 2^-40
} comparison;

static int64_t count_tokens(const esp_batch *batch, int64_t s) {
  return batch->lengths ? batch->lengths[s] : batch->width;
}

static esp_status keep_means(void *context, const esp_batch *batch, const float *states) {
  comparison *self = context;
  for (int64_t s = 0; s < batch->count; s++)
    average(states + s * batch->width * self->n, count_tokens(batch, s), self->n,
            self->means + self->done++ * self->n);
  return ESP_OK;
}

static esp_status compare(void *context, const esp_batch *batch, const float *states) {
  comparison *self = context;
  for (int64_t s = 0; s < batch->count; s++) {
    average(states + s * batch->width * self->n, count_tokens(batch, s), self->n, self->mean);
    self->sum +=
        llrint(compute_cosine(self->means + self->done++ * self->n, self->mean, self->n) * 0x1p40);
  }
  return ESP_OK;
}

static esp_status run_chunk(eval_stream *stream, esp_model *const models[2], int64_t i,
                            comparison *self) {
  self->done = 0;
  ESP_TRY(eval_stream_visit_local(stream, models[0], i, keep_means, self));
  self->done = 0;
  return eval_stream_visit_local(stream, models[1], i, compare, self);
}

static esp_status run_local(const esp_comm *comm, esp_model *const models[2],
                            const esp_dataset *data, const esp_eval_options *options,
                            int64_t *sum) {
  const eval_samples mine = eval_deal_local(comm, data);
  const esp_model *const both[2] = {models[0], models[1]};
  eval_stream stream;
  eval_stream_init(&stream, &mine, both, 2, eval_state_bytes(options));
  comparison self = {.n = models[0]->n_outputs};
  self.means = ESP_NEW(double, stream.chunk *stream.size *self.n);
  self.mean = ESP_NEW(double, self.n);
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < stream.n_batches && status == ESP_OK; i += stream.chunk)
    status = run_chunk(&stream, models, i, &self);
  *sum = self.sum;
  esp_free(&self.means);
  esp_free(&self.mean);
  eval_stream_clear(&stream);
  return status;
}

static esp_status check(const esp_model *reference, const esp_model *model,
                        const esp_dataset *data) {
  ESP_TRY(esp_model_check_data(model, data));
  if (reference->task == ESP_TASK_EMBED && reference->n_outputs == model->n_outputs) return ESP_OK;
  return esp_fail(ESP_MISMATCH,
                  "expected two encoders of the same hidden size, found %" PRId64 " and %" PRId64
                  "; compare a pruned model with the one it was cut from",
                  reference->n_outputs, model->n_outputs);
}

esp_status esp_eval_cosine(const esp_comm *comm, esp_model *const models[2],
                           const esp_dataset *data, const esp_eval_options *options,
                           esp_quality *quality) {
  int64_t sum = 0;
  ESP_TRY(esp_agree(comm, check(models[0], models[1], data)));
  ESP_TRY(esp_agree(comm, run_local(comm, models, data, options, &sum)));
  esp_allreduce_sum_i64(comm, &sum, 1);
  *quality = (esp_quality){.samples = data->count,
                           .targets = data->count,
                           .cosine = (double)sum * 0x1p-40 / (double)data->count};
  return ESP_OK;
}
