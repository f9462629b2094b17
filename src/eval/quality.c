#include "espalier/eval/eval.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <inttypes.h>
#include <math.h>

enum { EVAL_BATCH = 256 };
static const double largest_loss = 1e6; // nats a sample: 8 million samples of it fit the sum

static esp_status check_fit(const esp_model *model, const esp_dataset *data) {
  if (data->kind != model->family->input || data->width != model->n_inputs)
    return esp_fail(ESP_MISMATCH, "%s: expected samples of %" PRId64 " numbers for family '%s', found %" PRId64,
                    data->path, model->n_inputs, model->family->name, data->width);
  if (data->classes >= 1 && data->classes <= model->n_outputs) return ESP_OK;
  return esp_fail(ESP_MISMATCH, "%s: expected labels from 0 to %" PRId64 ", found %d classes",
                  data->path, model->n_outputs - 1, data->classes);
}

static esp_status fail_numeric(const esp_dataset *data, int64_t begin, int64_t count) {
  return esp_fail(ESP_NUMERIC, "%s: expected finite logits, found others for samples %" PRId64 " to %" PRId64
                  "; the weights are too large", data->path, begin, begin + count - 1);
}

esp_status esp_eval_quality(const esp_comm *comm, const esp_model *model, const esp_dataset *data,
                            esp_quality *quality) {
  ESP_TRY(esp_agree(comm, check_fit(model, data)));
  const int64_t n = (data->count + EVAL_BATCH - 1) / EVAL_BATCH;
  const int64_t last = esp_block_begin(n, comm->size, comm->rank + 1);
  int64_t sums[2] = {0, 0}; // correct, loss in 2^-20 nats
  esp_status status = ESP_OK;
  esp_batch_buffer buffer = {0};
  esp_pass pass;
  esp_pass_init(&pass, model, EVAL_BATCH);
  for (int64_t i = esp_block_begin(n, comm->size, comm->rank); i < last && status == ESP_OK; i++) {
    const int64_t begin = i * EVAL_BATCH, left = data->count - begin;
    const int64_t count = left < EVAL_BATCH ? left : EVAL_BATCH;
    esp_batch batch;
    esp_dataset_read(data, NULL, begin, count, &buffer, &batch);
    esp_forward(model, &batch, &pass);
    const double loss =
        esp_softmax_loss(pass.logits, batch.labels, count, model->n_outputs, NULL);
    sums[0] += esp_count_correct(pass.logits, batch.labels, count, model->n_outputs);
    if (!isfinite(loss)) status = fail_numeric(data, begin, count);
    else sums[1] += (int64_t)(fmin(loss, largest_loss * (double)count) * 0x1p20);
  }
  esp_pass_clear(&pass);
  esp_batch_buffer_clear(&buffer);
  ESP_TRY(esp_agree(comm, status));
  esp_allreduce_sum_i64(comm, sums, 2);
  *quality = (esp_quality){data->count, sums[0], (double)sums[1] * 0x1p-20 / (double)data->count};
  return ESP_OK;
}
