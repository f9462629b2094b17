#include "eval_internal.h"

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

/* Of one micro-batch's final states, those of a reference and of a model. */
typedef struct comparison {
  int64_t n;        // D
  double *means[2]; // (D) scratch
  int64_t sum;      // of cosines in 2^-40
} comparison;

static void compare(comparison *self, const esp_batch *batch, const float *const states[2]) {
  for (int64_t s = 0; s < batch->count; s++) {
    const int64_t rows = batch->lengths ? batch->lengths[s] : batch->width;
    for (int m = 0; m < 2; m++)
      average(states[m] + s * batch->width * self->n, rows, self->n, self->means[m]);
    self->sum += llrint(compute_cosine(self->means[0], self->means[1], self->n) * 0x1p40);
  }
}

static esp_status compare_chunk(esp_model *const models[2], esp_shard *shard, int64_t begin,
                                int64_t most, comparison *self) {
  eval_chunk chunks[2];
  esp_status status = ESP_OK;
  for (int m = 0; m < 2; m++) {
    const esp_status opened = eval_chunk_open(&chunks[m], models[m], shard, begin, most);
    if (status == ESP_OK) status = opened;
  }
  for (int64_t k = 0; k < chunks[0].stream.count && status == ESP_OK; k++) {
    eval_chunk_read(&chunks[0], k);
    const esp_batch batch = eval_chunk_read(&chunks[1], k);
    compare(self, &batch, (const float *const[2]){chunks[0].logits, chunks[1].logits});
  }
  for (int m = 1; m >= 0; m--) eval_chunk_close(&chunks[m]);
  return status;
}

static esp_status run_local(const esp_comm *comm, esp_model *const models[2],
                            const esp_dataset *data, const esp_eval_options *options,
                            int64_t *sum) {
  const esp_model *const both[2] = {models[0], models[1]};
  const int64_t n = models[0]->n_outputs;
  comparison self = {.n = n, .means = {ESP_NEW(double, n), ESP_NEW(double, n)}};
  esp_shard shard;
  eval_shard_init(&shard, data, eval_deal_local(comm, data));
  const int64_t most = eval_choose_chunk(&shard, both, 2, options);
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < shard.count && status == ESP_OK; i += most)
    status = compare_chunk(models, &shard, i, most, &self);
  *sum = self.sum;
  for (int m = 0; m < 2; m++) esp_free(&self.means[m]);
  esp_shard_clear(&shard);
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
