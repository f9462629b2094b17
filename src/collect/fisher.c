/* The softmax layer's Fisher information at every stage: F = E[g g^T], g the gradient of log
 * p(label) with respect to the result of the stage's consumer, of labels sampled from the model's
 * own softmax. Micro-batches spread evenly over all go forward once more, keeping the state before
 * each stage, and back; one stage's weights are held. A label depends on the seed and the row's
 * number among all, and sums are exact: the same at any rank count. */
#include "collect_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/elementary.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/flow/objective.h"

#include <math.h>
#include <string.h>

enum { STREAM_LABELS = 0xf15 };

typedef struct fisher_pass {
  collect_pass *pass;
  esp_stream stream; // of the micro-batches that are used
} fisher_pass;

static void init(fisher_pass *self, collect_pass *pass) {
  esp_shard *shard = pass->shard;
  const int64_t n = collect_count_fisher_batches(shard, pass->options);
  int64_t *numbers = ESP_NEW(int64_t, shard->count), count = 0;
  for (int64_t i = 0; i < n; i++) {
    const int64_t batch = esp_shard_pick(shard, i, n);
    if (batch >= shard->first && batch < shard->first + shard->count) numbers[count++] = batch;
  }
  *self = (fisher_pass){.pass = pass};
  esp_stream_init(&self->stream, &(esp_stream_options){.model = pass->model,
                                                       .shard = shard,
                                                       .numbers = numbers,
                                                       .count = count,
                                                       .is_checked = true,
                                                       .keeps_states = true});
  esp_free(&numbers);
}

/* e^(z - their largest), into p. */
ESP_CLONES static void exponentiate(const float *z, int64_t n, double *p) {
  float top = z[0];
#pragma omp simd reduction(max : top)
  for (int64_t i = 0; i < n; i++) top = z[i] > top ? z[i] : top;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) p[i] = esp_exp_double((double)(z[i] - top));
}

/* By inversion of the distribution function; p (n) is scratch. */
static int32_t sample_label(const float *logits, int64_t n, double uniform, double *p) {
  double total = 0.0, sum = 0.0;
  exponentiate(logits, n, p);
  for (int64_t i = 0; i < n; i++) total += p[i];
  for (int64_t i = 0; i < n; i++) {
    sum += p[i];
    if (sum > uniform * total) return (int32_t)i;
  }
  return (int32_t)n - 1;
}

/* Of labels drawn from the softmax. */
static void differentiate_softmax(const esp_objective *objective, esp_outputs outputs,
                                  const esp_draw *draw) {
  const int64_t rows = esp_batch_count_outputs(outputs.model, outputs.batch);
  const int64_t n = outputs.model->n_outputs;
  const esp_workspace_mark mark = esp_workspace_set_mark(outputs.workspace);
  int32_t *labels = ESP_TAKE(outputs.workspace, int32_t, rows);
  double *p = ESP_TAKE(outputs.workspace, double, n);
  for (int64_t r = 0; r < rows; r++)
    labels[r] =
        sample_label(outputs.logits + r * n, n,
                     esp_rng_uniform(draw->seed, draw->stream, (uint64_t)(draw->first + r)), p);
  outputs.labels = labels;
  objective->measure(&outputs, NULL);
  esp_workspace_release(outputs.workspace, mark);
}

/* Logits become gradients of -log p(label): the sign does not matter to F. */
static void differentiate(fisher_pass *self, int64_t i, const esp_batch *batch) {
  const collect_pass *pass = self->pass;
  const esp_objective *objective = esp_objective_of(pass->model->task);
  const esp_draw draw = {pass->options->seed, STREAM_LABELS,
                         self->stream.numbers[i] * pass->batch_rows};
  const esp_outputs outputs = {.model = pass->model,
                               .batch = batch,
                               .logits = pass->logits,
                               .dlogits = pass->logits,
                               .workspace = self->stream.workspace};
  if (objective->differentiate_drawn)
    objective->differentiate_drawn(&outputs, &draw);
  else
    differentiate_softmax(objective, outputs, &draw);
}

static esp_status turn_local(fisher_pass *self) {
  const int head = self->pass->model->n_stages;
  float *logits = self->pass->logits;
  ESP_TRY(esp_model_load_local(self->pass->model, head));
  for (int64_t i = 0; i < self->stream.count; i++) {
    const esp_step step = esp_stream_step(&self->stream, head, i);
    ESP_TRY(esp_step_run_head(&step, logits));
    differentiate(self, i, &step.call.batch);
    esp_step_return_head(&step, logits, NULL);
  }
  esp_stream_unload(&self->stream, head);
  return ESP_OK;
}

static void add_squares(const float *gradient, int64_t rows, int64_t n, double *squares) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++)
      squares[j] += (double)gradient[r * n + j] * (double)gradient[r * n + j];
}

/* The largest mean square of a micro-batch, by feature: a pilot that no dealing changes. Gradients
 * are taken back to what the stage's consumer gives. Collective. */
static void measure(fisher_pass *self, int stage, double *rms) {
  const int64_t n = self->pass->model->stages[stage].state_out;
  double *squares = ESP_NEW(double, n);
  for (int64_t i = 0; i < self->stream.count; i++) {
    const esp_step step = esp_stream_step(&self->stream, stage, i);
    const esp_backward backward = esp_step_return(&step, self->pass->x, NULL);
    const int64_t rows = esp_call_count_rows(&step.call);
    esp_backward_finish(&backward, step.dstate);
    memset(squares, 0, (size_t)n * sizeof *squares);
    add_squares(step.dstate, rows, n, squares);
    for (int64_t j = 0; j < n; j++) rms[j] = fmax(rms[j], sqrt(squares[j] / (double)rows));
  }
  esp_allreduce_max_f64(self->pass->comm, rms, n);
  esp_free(&squares);
}

/* Rows of padding have no gradient, and go. */
static esp_status add_gradients(const esp_step *step, int64_t n, esp_exact *sums) {
  esp_workspace *workspace = step->call.workspace;
  const int64_t all = esp_call_count_rows(&step->call);
  const esp_workspace_mark mark = esp_workspace_set_mark(workspace);
  float *scratch = ESP_TAKE(workspace, float, all *n);
  memcpy(scratch, step->dstate, (size_t)(all * n) * sizeof *scratch);
  const int64_t rows = esp_batch_compact(&step->call.batch, n, scratch);
  const esp_status status = esp_exact_add_local(sums, rows, scratch, n, scratch, n);
  esp_workspace_release(workspace, mark);
  return status;
}

static esp_status add_local(fisher_pass *self, int stage, esp_exact *sums) {
  for (int64_t i = 0; i < self->stream.count; i++) {
    const esp_step step = esp_stream_step(&self->stream, stage, i);
    const esp_backward backward = esp_step_return(&step, self->pass->x, NULL);
    ESP_TRY(add_gradients(&step, self->pass->model->stages[stage].state_out, sums));
    if (stage > 0) esp_backward_consume(&backward, step.dstate);
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

static esp_status sum_stage(fisher_pass *self, int stage) {
  collect_pass *pass = self->pass;
  const esp_site_name name = collect_name_fisher(pass->model, stage);
  const int64_t n = pass->model->stages[stage].state_out;
  double *rms = ESP_NEW(double, n);
  esp_exact sums;
  measure(self, stage, rms);
  esp_exact_init(&sums, n, n, rms, rms);
  esp_status status = esp_agree(pass->comm, add_local(self, stage, &sums));
  esp_stream_free_scratch(&self->stream);
  if (status == ESP_OK) status = esp_exact_reduce(pass->comm, &sums);
  if (status == ESP_OK) status = write_mean(self, stage, &sums);
  if (status == ESP_OK) status = collect_mark_done(pass, name.text);
  esp_exact_clear(&sums);
  esp_free(&rms);
  return status;
}

/* All that a stage which is finished, or is not measured, leaves to do: gradients go on to the
 * state before it. */
static esp_status gather_stage(fisher_pass *self, int stage) {
  if (collect_is_full(self->pass->options, stage) &&
      !collect_is_done_local(self->pass, collect_name_fisher(self->pass->model, stage).text))
    return sum_stage(self, stage);
  esp_stream_return(&self->stream, stage, self->pass->x, NULL);
  return ESP_OK;
}

static esp_status run(fisher_pass *self) {
  const esp_comm *comm = self->pass->comm;
  ESP_TRY(esp_agree(comm, esp_stream_run(&self->stream, self->pass->x)));
  ESP_TRY(esp_agree(comm, turn_local(self)));
  const int lowest = collect_find_lowest(self->pass->model, self->pass->options);
  for (int stage = self->pass->model->n_stages - 1; stage >= lowest; stage--) {
    ESP_TRY(esp_stream_load(comm, &self->stream, stage));
    const esp_status status = gather_stage(self, stage);
    esp_stream_unload(&self->stream, stage);
    ESP_TRY(status);
  }
  return ESP_OK;
}

esp_status collect_fisher(collect_pass *pass) {
  const int64_t rows = collect_count_fisher_rows(pass->model, pass->shard, pass->options);
  fisher_pass self;
  const int lowest = collect_find_lowest(pass->model, pass->options);
  if (rows == 0 || lowest == pass->model->n_stages ||
      collect_is_done_local(pass, collect_name_fisher(pass->model, lowest).text))
    return ESP_OK;
  esp_log_info("collect: Fisher information of %lld rows", (long long)rows);
  init(&self, pass);
  const esp_status status = run(&self);
  esp_stream_clear(&self.stream);
  return status;
}
