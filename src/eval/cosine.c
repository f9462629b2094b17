#include "espalier/eval/eval.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

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

typedef struct pair {
  const esp_model *models[2];
  esp_pass passes[2];
  double *means[2];
} pair;

/* Sum of cosines in 2^-40. */
static int64_t score(pair *self, const esp_batch *batch) {
  const int64_t n = self->models[0]->n_outputs, width = batch->width;
  int64_t sum = 0;
  for (int m = 0; m < 2; m++) esp_forward(self->models[m], batch, &self->passes[m]);
  for (int64_t s = 0; s < batch->count; s++) {
    const int64_t length = batch->lengths ? batch->lengths[s] : width;
    for (int m = 0; m < 2; m++)
      average(self->passes[m].logits + s * width * n, length, n, self->means[m]);
    sum += llrint(compute_cosine(self->means[0], self->means[1], n) * 0x1p40);
  }
  return sum;
}

static int64_t run(const esp_comm *comm, pair *self, const esp_dataset *data) {
  const int64_t size = esp_eval_batch(data), n = (data->count + size - 1) / size;
  const int64_t last = esp_block_begin(n, comm->size, comm->rank + 1);
  esp_batch_buffer buffer = {0};
  int64_t sum = 0;
  for (int64_t i = esp_block_begin(n, comm->size, comm->rank); i < last; i++) {
    const int64_t left = data->count - i * size;
    esp_batch batch;
    esp_dataset_read(data, NULL, i * size, left < size ? left : size, &buffer, &batch);
    sum += score(self, &batch);
  }
  esp_batch_buffer_clear(&buffer);
  return sum;
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

esp_status esp_eval_cosine(const esp_comm *comm, const esp_model *reference, const esp_model *model,
                           const esp_dataset *data, esp_quality *quality) {
  ESP_TRY(esp_agree(comm, check(reference, model, data)));
  pair self = {.models = {reference, model}};
  for (int m = 0; m < 2; m++) {
    esp_pass_init(&self.passes[m], self.models[m], esp_eval_batch(data) * data->width);
    self.means[m] = ESP_NEW(double, model->n_outputs);
  }
  int64_t sum = run(comm, &self, data);
  for (int m = 0; m < 2; m++) {
    esp_pass_clear(&self.passes[m]);
    esp_free(&self.means[m]);
  }
  esp_allreduce_sum_i64(comm, &sum, 1);
  *quality = (esp_quality){.samples = data->count,
                           .targets = data->count,
                           .cosine = (double)sum * 0x1p-40 / (double)data->count};
  return ESP_OK;
}
