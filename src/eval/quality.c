#include "espalier/eval/eval.h"

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { IMAGES = 256, TOKENS = 1024 };
static const double largest_loss = 1e6; // nats a target: 8 million targets of it fit the sum

int64_t esp_eval_batch(const esp_dataset *data) {
  if (data->kind != ESP_DATA_TOKENS) return IMAGES;
  return data->width < TOKENS ? TOKENS / data->width : 1;
}

/* Integer sums of one evaluation. */
typedef struct tally {
  int64_t targets, correct;
  int64_t loss; // 2^-20 nats
} tally;

static void add_rows(const esp_model *model, const float *logits, const int32_t *labels,
                     int64_t rows, tally *sums) {
  const int64_t n = model->n_outputs;
  const double loss = esp_softmax_loss(logits, labels, rows, n, NULL);
  sums->targets += rows;
  sums->correct += esp_count_correct(logits, labels, rows, n);
  sums->loss = isfinite(loss) && sums->loss >= 0
                   ? sums->loss + (int64_t)(fmin(loss, largest_loss * (double)rows) * 0x1p20)
                   : -1;
}

/* Token t + shift is predicted from row t of every sequence. */
static void add_tokens(const esp_model *model, const esp_batch *batch, const float *logits,
                       int64_t shift, tally *sums) {
  for (int64_t s = 0; s < batch->count; s++) {
    const int64_t length = batch->lengths ? batch->lengths[s] : batch->width;
    add_rows(model, logits + s * batch->width * model->n_outputs,
             batch->tokens + s * batch->width + shift, length - shift, sums);
  }
}

static void score(const esp_model *model, const esp_batch *batch, const float *logits,
                  tally *sums) {
  if (model->task == ESP_TASK_CLASSIFY)
    add_rows(model, logits, batch->labels, batch->count, sums);
  else
    add_tokens(model, batch, logits, model->task == ESP_TASK_LANGUAGE ? 1 : 0, sums);
}

static esp_status check(const esp_model *model, const esp_dataset *data) {
  ESP_TRY(esp_model_check_data(model, data));
  if (model->task == ESP_TASK_CLASSIFY) return esp_model_check_labels(model, data);
  if (model->task != ESP_TASK_EMBED) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "an encoder without head is evaluated against another: give the dense model "
                  "first, then the pruned ones");
}

static esp_status run_local(const esp_comm *comm, const esp_model *model, const esp_dataset *data,
                            tally *sums) {
  const int64_t size = esp_eval_batch(data), n = (data->count + size - 1) / size;
  const int64_t last = esp_block_begin(n, comm->size, comm->rank + 1);
  esp_batch_buffer buffer = {0};
  esp_pass pass;
  esp_pass_init(&pass, model, size * (data->kind == ESP_DATA_TOKENS ? data->width : 1));
  for (int64_t i = esp_block_begin(n, comm->size, comm->rank); i < last && sums->loss >= 0; i++) {
    const int64_t left = data->count - i * size;
    esp_batch batch;
    esp_dataset_read(data, NULL, i * size, left < size ? left : size, &buffer, &batch);
    esp_forward(model, &batch, &pass);
    score(model, &batch, pass.logits, sums);
  }
  esp_pass_clear(&pass);
  esp_batch_buffer_clear(&buffer);
  if (sums->loss >= 0) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "%s: expected finite logits, found others; the weights are too large",
                  data->path);
}

esp_status esp_eval_quality(const esp_comm *comm, const esp_model *model, const esp_dataset *data,
                            esp_quality *quality) {
  tally sums = {0};
  ESP_TRY(esp_agree(comm, check(model, data)));
  ESP_TRY(esp_agree(comm, run_local(comm, model, data, &sums)));
  int64_t all[3] = {sums.targets, sums.correct, sums.loss};
  esp_allreduce_sum_i64(comm, all, 3);
  *quality =
      (esp_quality){.samples = data->count,
                    .targets = all[0],
                    .correct = all[1],
                    .loss_nats = (double)all[2] * 0x1p-20 / (double)(all[0] > 0 ? all[0] : 1)};
  return ESP_OK;
}
