/* The softmax layer's Fisher information at every stage: F = E[g g^T], g the gradient of log
 * p(label) with respect to the result of the stage's consumer, of labels sampled from the model's
 * own softmax. Micro-batches spread evenly over all go forward once more, keeping the state before
 * each stage, and back; one stage's weights are held. A label hangs on the seed and the row's
 * number among all, and sums are exact: the same at any rank count. */
#include "collect_internal.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>

enum { STREAM_LABELS = 0xf15 };

typedef struct fisher_pass {
  collect_pass *pass;
  int64_t n;        // micro-batches of this rank that are used
  int64_t *numbers; // (n): among all
  float **states; // (n_stages + 1, n): (batch_rows, max_state) each, before each stage and the head
  float **dstates; // (n): gradients
  float *scratch;  // (batch_rows, max_state)
} fisher_pass;

static int64_t count_batches(const esp_shard *shard, const esp_collect_options *options) {
  const int64_t rows = esp_shard_count_rows(shard);
  const int64_t wanted = (options->fisher_tokens + rows - 1) / rows;
  return wanted < shard->n_batches ? wanted : shard->n_batches;
}

static int64_t pick_batch(const esp_shard *shard, int64_t i, int64_t n) {
  return i * shard->n_batches / n;
}

int64_t collect_count_fisher_rows(const esp_model *model, const esp_shard *shard,
                                  const esp_collect_options *options) {
  const int64_t n = count_batches(shard, options);
  int64_t rows = 0;
  if (model->task == ESP_TASK_EMBED || !model->family->head_backward) return 0;
  for (int64_t i = 0; i < n; i++) rows += esp_shard_count_valid(shard, pick_batch(shard, i, n));
  return rows;
}

static float *new_state(const fisher_pass *self) {
  return ESP_NEW(float, self->pass->batch_rows * self->pass->model->max_state);
}

static void init(fisher_pass *self, collect_pass *pass) {
  const esp_shard *shard = pass->shard;
  const int64_t n = count_batches(shard, pass->options);
  *self = (fisher_pass){.pass = pass, .numbers = ESP_NEW(int64_t, shard->count)};
  for (int64_t i = 0; i < n; i++) {
    const int64_t batch = pick_batch(shard, i, n);
    if (batch >= shard->first && batch < shard->first + shard->count)
      self->numbers[self->n++] = batch;
  }
  const int64_t n_states = (pass->model->n_stages + 1) * self->n;
  self->states = ESP_NEW(float *, n_states);
  self->dstates = ESP_NEW(float *, self->n);
  for (int64_t i = 0; i < n_states; i++) self->states[i] = new_state(self);
  for (int64_t i = 0; i < self->n; i++) self->dstates[i] = new_state(self);
  self->scratch = new_state(self);
}

static void clear(fisher_pass *self) {
  for (int64_t i = 0; i < (self->pass->model->n_stages + 1) * self->n; i++)
    esp_free(&self->states[i]);
  for (int64_t i = 0; i < self->n; i++) esp_free(&self->dstates[i]);
  esp_free(&self->states);
  esp_free(&self->dstates);
  esp_free(&self->numbers);
  esp_free(&self->scratch);
}

static esp_status embed_local(fisher_pass *self) {
  esp_model *model = self->pass->model;
  ESP_TRY(esp_model_load_local(model, ESP_STAGE_EMBED));
  for (int64_t i = 0; i < self->n; i++) {
    esp_batch batch;
    esp_shard_read(self->pass->shard, self->numbers[i], &batch);
    model->family->embed(model, &batch, self->states[i]);
  }
  esp_model_unload(model, ESP_STAGE_EMBED);
  return ESP_OK;
}

static esp_status advance_local(fisher_pass *self, int stage) {
  esp_model *model = self->pass->model;
  const size_t bytes = (size_t)(self->pass->batch_rows * model->max_state) * sizeof(float);
  ESP_TRY(esp_model_load_local(model, stage));
  for (int64_t i = 0; i < self->n; i++) {
    const float *state = self->states[stage * self->n + i];
    float *next = self->states[(stage + 1) * self->n + i];
    esp_batch batch;
    esp_shard_read(self->pass->shard, self->numbers[i], &batch);
    ESP_TRY(esp_produce_checked(model, stage, &batch, state, self->pass->x));
    memcpy(next, state, bytes);
    esp_stage_consume(model, stage, esp_batch_count_rows(&batch), self->pass->x, next);
    esp_stage_finish(model, stage, &batch, next);
  }
  esp_model_unload(model, stage);
  return ESP_OK;
}

/* By inversion of the distribution function. */
static int32_t sample_label(const float *logits, int64_t n, double uniform) {
  float top = logits[0];
  double total = 0.0, sum = 0.0;
  for (int64_t i = 1; i < n; i++) top = logits[i] > top ? logits[i] : top;
  for (int64_t i = 0; i < n; i++) total += exp((double)(logits[i] - top));
  for (int64_t i = 0; i < n; i++) {
    sum += exp((double)(logits[i] - top));
    if (sum > uniform * total) return (int32_t)i;
  }
  return (int32_t)n - 1;
}

/* Rows of padding have no label, hence no gradient. */
static void clear_padding(const esp_model *model, const esp_batch *batch, float *dlogits) {
  if (model->task == ESP_TASK_CLASSIFY || !batch->lengths) return;
  for (int64_t i = 0; i < batch->count; i++) {
    const int64_t valid = batch->lengths[i], n = (batch->width - valid) * model->n_outputs;
    memset(dlogits + (i * batch->width + valid) * model->n_outputs, 0, (size_t)n * sizeof *dlogits);
  }
}

/* Logits become gradients of -log p(label): the sign does not matter to F. */
static void differentiate(const fisher_pass *self, int64_t i, const esp_batch *batch) {
  const esp_model *model = self->pass->model;
  const int64_t rows = esp_batch_count_outputs(model, batch), n = model->n_outputs;
  const int64_t first = self->numbers[i] * self->pass->batch_rows;
  float *logits = self->pass->logits;
  int32_t *labels = ESP_NEW(int32_t, rows);
  for (int64_t r = 0; r < rows; r++)
    labels[r] = sample_label(
        logits + r * n, n,
        esp_rng_uniform(self->pass->options->seed, STREAM_LABELS, (uint64_t)(first + r)));
  esp_softmax_loss(logits, labels, rows, n, logits);
  clear_padding(model, batch, logits);
  esp_free(&labels);
}

static esp_status turn_local(fisher_pass *self) {
  esp_model *model = self->pass->model;
  const int head = model->n_stages;
  ESP_TRY(esp_model_load_local(model, head));
  for (int64_t i = 0; i < self->n; i++) {
    const float *state = self->states[head * self->n + i];
    esp_batch batch;
    esp_shard_read(self->pass->shard, self->numbers[i], &batch);
    model->family->head(model, &batch, state, self->pass->logits);
    ESP_TRY(collect_check_finite(ESP_SITE_LOGITS, self->pass->logits,
                                 esp_batch_count_outputs(model, &batch), model->n_outputs));
    differentiate(self, i, &batch);
    model->family->head_backward(model, &batch, state, self->pass->logits, self->dstates[i], NULL);
  }
  esp_model_unload(model, head);
  return ESP_OK;
}

static esp_stage_backward find_stage(const fisher_pass *self, int stage, int64_t i,
                                     esp_batch *batch) {
  const collect_pass *pass = self->pass;
  const float *state = self->states[stage * self->n + i];
  esp_shard_read(pass->shard, self->numbers[i], batch);
  pass->model->family->produce(pass->model, stage, batch, state, pass->x);
  return (esp_stage_backward){pass->model, stage, batch, state, pass->x, NULL};
}

/* The largest mean square of a micro-batch, by feature: a pilot that no dealing changes.
 * Collective. */
static void measure(fisher_pass *self, int stage, double *rms) {
  const int64_t n = self->pass->model->stages[stage].state_out;
  double *squares = ESP_NEW(double, n);
  for (int64_t i = 0; i < self->n; i++) {
    esp_batch batch;
    const esp_stage_backward backward = find_stage(self, stage, i, &batch);
    const int64_t rows = esp_batch_count_rows(&batch);
    esp_stage_finish_backward(&backward, self->dstates[i]);
    memset(squares, 0, (size_t)n * sizeof *squares);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < n; j++)
        squares[j] += (double)self->dstates[i][r * n + j] * (double)self->dstates[i][r * n + j];
    for (int64_t j = 0; j < n; j++) rms[j] = fmax(rms[j], sqrt(squares[j] / (double)rows));
  }
  esp_allreduce_max_f64(self->pass->comm, rms, n);
  esp_free(&squares);
}

static esp_status add_local(fisher_pass *self, int stage, esp_exact *sums) {
  const int64_t n = self->pass->model->stages[stage].state_out;
  for (int64_t i = 0; i < self->n; i++) {
    esp_batch batch;
    const esp_stage_backward backward = find_stage(self, stage, i, &batch);
    const int64_t all = esp_batch_count_rows(&batch);
    memcpy(self->scratch, self->dstates[i], (size_t)(all * n) * sizeof(float));
    const int64_t rows = esp_batch_compact(&batch, n, self->scratch);
    ESP_TRY(esp_exact_add_local(sums, rows, self->scratch, n, self->scratch, n));
    if (stage > 0) esp_stage_consume_backward(&backward, self->dstates[i]);
  }
  return ESP_OK;
}

/* Write this rank's rows of the mean. Collective. */
static esp_status write_mean(const fisher_pass *self, int stage, const esp_exact *sums) {
  const collect_pass *pass = self->pass;
  const int64_t n = sums->rows,
                rows = collect_count_fisher_rows(pass->model, pass->shard, pass->options);
  const int64_t begin = esp_block_begin(n, pass->comm->size, pass->comm->rank);
  const int64_t end = esp_block_begin(n, pass->comm->size, pass->comm->rank + 1);
  float *mean = ESP_NEW(float, (end - begin) * n);
  for (int64_t i = begin; i < end; i++)
    for (int64_t j = 0; j < n; j++)
      mean[(i - begin) * n + j] = (float)(esp_exact_get(sums, i, j) / (double)rows);
  const esp_status status =
      esp_stats_write_fisher(pass->stats, pass->model->stages[stage].name, n, mean);
  esp_free(&mean);
  return status;
}

/* All that a finished stage leaves to do: gradients go on to the state before it. */
static void pass_by(fisher_pass *self, int stage) {
  for (int64_t i = 0; i < self->n; i++) {
    esp_batch batch;
    const esp_stage_backward backward = find_stage(self, stage, i, &batch);
    esp_stage_finish_backward(&backward, self->dstates[i]);
    if (stage > 0) esp_stage_consume_backward(&backward, self->dstates[i]);
  }
}

static esp_status gather_stage(fisher_pass *self, int stage) {
  collect_pass *pass = self->pass;
  const esp_site_name name = collect_name_fisher(pass->model, stage);
  if (collect_is_done(pass, name.text)) {
    pass_by(self, stage);
    return ESP_OK;
  }
  const int64_t n = pass->model->stages[stage].state_out;
  double *rms = ESP_NEW(double, n);
  esp_exact sums;
  measure(self, stage, rms);
  esp_exact_init(&sums, n, n, rms, rms);
  esp_status status = esp_agree(pass->comm, add_local(self, stage, &sums));
  if (status == ESP_OK) status = esp_exact_reduce(pass->comm, &sums);
  if (status == ESP_OK) status = write_mean(self, stage, &sums);
  if (status == ESP_OK) status = collect_mark_done(pass, name.text);
  esp_exact_clear(&sums);
  esp_free(&rms);
  return status;
}

static esp_status run(fisher_pass *self) {
  const collect_pass *pass = self->pass;
  const int n_stages = pass->model->n_stages;
  ESP_TRY(esp_agree(pass->comm, embed_local(self)));
  for (int stage = 0; stage < n_stages; stage++)
    ESP_TRY(esp_agree(pass->comm, advance_local(self, stage)));
  ESP_TRY(esp_agree(pass->comm, turn_local(self)));
  for (int stage = n_stages - 1; stage >= 0; stage--) {
    ESP_TRY(esp_agree(pass->comm, esp_model_load_local(pass->model, stage)));
    const esp_status status = gather_stage(self, stage);
    esp_model_unload(pass->model, stage);
    ESP_TRY(status);
  }
  return ESP_OK;
}

esp_status collect_fisher(collect_pass *pass) {
  const int64_t rows = collect_count_fisher_rows(pass->model, pass->shard, pass->options);
  fisher_pass self;
  if (rows == 0 || collect_is_done(pass, collect_name_fisher(pass->model, 0).text)) return ESP_OK;
  esp_log_info("collect: Fisher information of %lld rows", (long long)rows);
  init(&self, pass);
  const esp_status status = run(&self);
  clear(&self);
  return status;
}
