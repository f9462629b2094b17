#include "stream.h"

#include <inttypes.h>
#include <math.h>

static const double largest_loss = 1e6; // nats a target: 8 million targets of it fit the sum

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

typedef struct scoring {
  const esp_model *model;
  const esp_dataset *data;
  tally sums;
} scoring;

static esp_status score(void *context, const esp_batch *batch, const float *logits) {
  scoring *self = context;
  if (self->model->task == ESP_TASK_CLASSIFY)
    add_rows(self->model, logits, batch->labels, batch->count, &self->sums);
  else
    add_tokens(self->model, batch, logits, self->model->task == ESP_TASK_LANGUAGE ? 1 : 0,
               &self->sums);
  if (self->sums.loss >= 0) return ESP_OK;
  return esp_fail(ESP_NUMERIC,
                  "%s: expected finite logits, found others; the weights are too large",
                  self->data->path);
}

static esp_status check(const esp_model *model, const esp_dataset *data) {
  ESP_TRY(esp_model_check_data(model, data));
  if (model->task == ESP_TASK_CLASSIFY) return esp_model_check_labels(model, data);
  if (model->task != ESP_TASK_EMBED) return ESP_OK;
  return esp_fail(ESP_USAGE,
                  "an encoder without head is evaluated against another: give the dense model "
                  "first, then the pruned ones");
}

static esp_status run_local(const esp_comm *comm, esp_model *model, const esp_eval_options *options,
                            scoring *self) {
  const eval_samples mine = eval_deal_local(comm, self->data);
  const esp_model *const models[1] = {model};
  eval_stream stream;
  eval_stream_init(&stream, &mine, models, 1, eval_state_bytes(options));
  esp_status status = ESP_OK;
  for (int64_t i = 0; i < stream.n_batches && status == ESP_OK; i += stream.chunk)
    status = eval_stream_visit_local(&stream, model, i, score, self);
  eval_stream_clear(&stream);
  return status;
}

esp_status esp_eval_quality(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                            const esp_eval_options *options, esp_quality *quality) {
  scoring self = {.model = model, .data = data};
  ESP_TRY(esp_agree(comm, check(model, data)));
  ESP_TRY(esp_agree(comm, run_local(comm, model, options, &self)));
  int64_t all[3] = {self.sums.targets, self.sums.correct, self.sums.loss};
  esp_allreduce_sum_i64(comm, all, 3);
  *quality =
      (esp_quality){.samples = data->count,
                    .targets = all[0],
                    .correct = all[1],
                    .loss_nats = (double)all[2] * 0x1p-20 / (double)(all[0] > 0 ? all[0] : 1)};
  return ESP_OK;
}
