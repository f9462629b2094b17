/* The softmax layer's Fisher information at every stage: F = E[g g^T], g the gradient of log
 * p(label) with respect to the result of the stage's consumer, of labels sampled from the model's
 * own softmax. Micro-batches spread evenly over all keep the state before each stage as they pass,
 * and go back from there; one stage's weights are held. A label depends on the seed and the row's
 * number among all, and sums are exact: the same at any rank count. */
#include "collect_internal.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/core/softmax.h"
#include "espalier/flow/objective.h"

#include <math.h>
#include <string.h>

enum { STREAM_LABELS = 0xf15, BLOCK = 512 }; // classes whose probabilities are summed at once

/* Whether there is any to be computed. */
static bool is_left(const collect_pass *pass) {
  const int lowest = collect_find_lowest(pass->model, pass->options);
  return collect_count_fisher_rows(pass->model, pass->shard, pass->options) > 0 &&
         lowest < pass->model->n_stages &&
         !collect_is_done_local(pass, collect_name_fisher(pass->model, lowest).text);
}

void collect_fisher_begin_local(collect_pass *pass) {
  esp_shard *shard = pass->shard;
  const int64_t n = collect_count_fisher_batches(shard, pass->options);
  int64_t count = 0;
  pass->fisher.before = ESP_STAGE_EMBED;
  if (!is_left(pass)) return;
  int64_t *numbers = ESP_NEW(int64_t, shard->count);
  for (int64_t i = 0; i < n; i++) {
    const int64_t batch = esp_shard_pick(shard, i, n);
    if (batch >= shard->first && batch < shard->first + shard->count) numbers[count++] = batch;
  }
  esp_stream_init(&pass->fisher.stream, &(esp_stream_options){.model = pass->model,
                                                              .shard = shard,
                                                              .numbers = numbers,
                                                              .count = count,
                                                              .is_checked = true,
                                                              .keeps_states = true});
  esp_free(&numbers);
}

void collect_fisher_keep_local(collect_pass *pass, int stage) {
  esp_stream *stream = &pass->fisher.stream;
  if (!stream->model) return;
  for (int64_t i = 0; i < stream->count; i++) {
    const int64_t from = stream->numbers[i] - pass->shard->first;
    const size_t values = (size_t)(stream->rows * pass->model->max_state);
    memcpy(esp_stream_find_state(stream, stage, i),
           esp_stream_find_state(&pass->stream, stage, from), values * sizeof(float));
  }
  pass->fisher.before = stage;
}

void collect_fisher_clear_local(collect_pass *pass) {
  esp_stream_clear(&pass->fisher.stream);
}

/* The first class at which the sum of e, from a block's first on, is beyond what is left. */
static int64_t find_class(const float *e, int64_t n, double left) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) {
    sum += (double)e[i];
    if (sum > left) return i;
  }
  return n - 1;
}

/* By inversion of the distribution function; e (n) and sums (n / BLOCK, rounded up) are scratch. */
static int32_t sample_label(const float *logits, int64_t n, double uniform, float *e,
                            double *sums) {
  const float top = esp_softmax_find_top(logits, n);
  double total = 0.0;
  for (int64_t i = 0; i < n; i += BLOCK) {
    sums[i / BLOCK] =
        esp_softmax_exponentiate(logits + i, n - i < BLOCK ? n - i : BLOCK, top, 1.0f, e + i);
    total += sums[i / BLOCK];
  }
  double left = uniform * total;
  int64_t begin = 0;
  for (; begin + BLOCK < n && sums[begin / BLOCK] <= left; begin += BLOCK)
    left -= sums[begin / BLOCK];
  return (int32_t)(begin + find_class(e + begin, n - begin < BLOCK ? n - begin : BLOCK, left));
}

/* Of labels drawn from the softmax. */
static void differentiate_softmax(const esp_objective *objective, esp_outputs outputs,
                                  const esp_draw *draw) {
  const int64_t rows = esp_batch_count_outputs(outputs.model, outputs.batch);
  const int64_t n = outputs.model->n_outputs;
  const esp_workspace_mark mark = esp_workspace_set_mark(outputs.workspace);
  int32_t *labels = ESP_TAKE(outputs.workspace, int32_t, rows);
  float *e = ESP_TAKE(outputs.workspace, float, n);
  double *sums = ESP_TAKE(outputs.workspace, double, (n + BLOCK - 1) / BLOCK);
  for (int64_t r = 0; r < rows; r++)
    labels[r] = sample_label(outputs.logits + r * n, n,
                             esp_rng_uniform(draw->seed, draw->stream, (uint64_t)(draw->first + r)),
                             e, sums);
  outputs.labels = labels;
  objective->measure(&outputs, NULL);
  esp_workspace_release(outputs.workspace, mark);
}

/* Logits become gradients of -log p(label): the sign does not matter to F. */
static void differentiate(collect_pass *pass, int64_t i, const esp_batch *batch) {
  const esp_objective *objective = esp_objective_of(pass->model->task);
  const esp_draw draw = {pass->options->seed, STREAM_LABELS,
                         pass->fisher.stream.numbers[i] * pass->batch_rows};
  const esp_outputs outputs = {.model = pass->model,
                               .batch = batch,
                               .logits = pass->logits,
                               .dlogits = pass->logits,
                               .workspace = pass->fisher.stream.workspace};
  if (objective->differentiate_drawn)
    objective->differentiate_drawn(&outputs, &draw);
  else
    differentiate_softmax(objective, outputs, &draw);
}

void collect_fisher_turn_local(collect_pass *pass, int64_t i) {
  const int head = pass->model->n_stages;
  esp_stream *stream = &pass->fisher.stream;
  const int64_t own = pass->fisher.turned;
  if (!stream->model || pass->fisher.before != head || own == stream->count ||
      stream->numbers[own] != pass->shard->first + i)
    return;
  const esp_step step = esp_stream_step(stream, head, own);
  differentiate(pass, own, &step.call.batch);
  esp_step_return_head(&step, pass->logits, NULL);
  pass->fisher.turned++;
}

/* Those whose logits nothing else wanted. */
static esp_status turn_local(collect_pass *pass) {
  const int head = pass->model->n_stages;
  esp_stream *stream = &pass->fisher.stream;
  if (pass->fisher.turned == stream->count) return ESP_OK;
  ESP_TRY(esp_model_load_local(pass->model, head));
  for (int64_t i = pass->fisher.turned; i < stream->count; i++) {
    const esp_step step = esp_stream_step(stream, head, i);
    ESP_TRY(esp_step_run_head(&step, pass->logits));
    differentiate(pass, i, &step.call.batch);
    esp_step_return_head(&step, pass->logits, NULL);
  }
  esp_stream_unload(stream, head);
  return ESP_OK;
}

static void add_squares(const float *gradient, int64_t rows, int64_t n, double *squares) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++)
      squares[j] += (double)gradient[r * n + j] * (double)gradient[r * n + j];
}

/* The largest mean square of a micro-batch, by feature: a pilot that no dealing changes. Gradients
 * are taken back to what the stage's consumer gives. Collective. */
static void measure(collect_pass *pass, int stage, double *rms) {
  const int64_t n = pass->model->stages[stage].state_out;
  double *squares = ESP_NEW(double, n);
  for (int64_t i = 0; i < pass->fisher.stream.count; i++) {
    const esp_step step = esp_stream_step(&pass->fisher.stream, stage, i);
    const esp_backward backward = esp_step_return(&step, pass->x, NULL);
    const int64_t rows = esp_call_count_rows(&step.call);
    esp_backward_finish(&backward, step.dstate);
    memset(squares, 0, (size_t)n * sizeof *squares);
    add_squares(step.dstate, rows, n, squares);
    for (int64_t j = 0; j < n; j++) rms[j] = fmax(rms[j], sqrt(squares[j] / (double)rows));
  }
  esp_allreduce_max_f64(pass->comm, rms, n);
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

/* No weight has a gradient, so that nothing on the way reads x. */
static esp_status add_local(collect_pass *pass, int stage, esp_exact *sums) {
  for (int64_t i = 0; i < pass->fisher.stream.count; i++) {
    const esp_step step = esp_stream_step(&pass->fisher.stream, stage, i);
    const esp_backward backward = {.call = step.call, .state = step.state};
    ESP_TRY(add_gradients(&step, pass->model->stages[stage].state_out, sums));
    if (stage > 0) esp_backward_consume(&backward, step.dstate);
  }
  return ESP_OK;
}

/* Write this rank's rows of the mean. Collective. */
static esp_status write_mean(const collect_pass *pass, int stage, const esp_exact *sums) {
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

static esp_status sum_stage(collect_pass *pass, int stage) {
  const esp_site_name name = collect_name_fisher(pass->model, stage);
  const int64_t n = pass->model->stages[stage].state_out;
  double *rms = ESP_NEW(double, n);
  esp_exact sums;
  measure(pass, stage, rms);
  esp_exact_init(&sums, n, n, rms, rms);
  esp_status status = esp_agree(pass->comm, add_local(pass, stage, &sums));
  esp_stream_free_scratch(&pass->fisher.stream);
  if (status == ESP_OK) status = esp_exact_reduce(pass->comm, &sums);
  if (status == ESP_OK) status = write_mean(pass, stage, &sums);
  if (status == ESP_OK) status = collect_mark_done(pass, name.text);
  esp_exact_clear(&sums);
  esp_free(&rms);
  return status;
}

/* All that a stage which is finished, or is not measured, leaves to do: gradients go on to the
 * state before it. */
static esp_status gather_stage(collect_pass *pass, int stage) {
  if (collect_is_full(pass->options, stage) &&
      !collect_is_done_local(pass, collect_name_fisher(pass->model, stage).text))
    return sum_stage(pass, stage);
  esp_stream_return(&pass->fisher.stream, stage, pass->x, NULL);
  return ESP_OK;
}

/* Forward from the last state that is kept. */
static esp_status run_forward_local(collect_pass *pass) {
  esp_stream *stream = &pass->fisher.stream;
  if (pass->fisher.before < 0) return esp_stream_run(stream, pass->x);
  for (int stage = pass->fisher.before; stage < pass->model->n_stages; stage++) {
    ESP_TRY(esp_model_load_local(pass->model, stage));
    const esp_status status = esp_stream_advance(stream, stage, pass->x);
    esp_stream_unload(stream, stage);
    ESP_TRY(status);
  }
  return ESP_OK;
}

esp_status collect_fisher(collect_pass *pass) {
  const esp_comm *comm = pass->comm;
  esp_stream *stream = &pass->fisher.stream;
  if (!is_left(pass)) return ESP_OK;
  esp_log_info("collect: Fisher information of %lld rows",
               (long long)collect_count_fisher_rows(pass->model, pass->shard, pass->options));
  ESP_TRY(esp_agree(comm, run_forward_local(pass)));
  ESP_TRY(esp_agree(comm, turn_local(pass)));
  for (int stage = pass->model->n_stages - 1;
       stage >= collect_find_lowest(pass->model, pass->options); stage--) {
    ESP_TRY(esp_stream_load(comm, stream, stage));
    const esp_status status = gather_stage(pass, stage);
    esp_stream_unload(stream, stage);
    ESP_TRY(status);
  }
  return ESP_OK;
}
