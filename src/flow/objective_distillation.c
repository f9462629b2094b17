/* Distillation [Hinton et al., "Distilling the knowledge in a neural network", 2015]: of every row
 * that predicts something, with t the teacher's logits, s the model's, T the temperature,
 *
 *   loss = (1 - mix) T^2 KL(softmax(t / T) || softmax(s / T)) + mix (cross-entropy of the label).
 *
 * Its gradient by s is (1 - mix) T (softmax(s / T) - softmax(t / T)) + mix (softmax(s) - label).
 * The tally counts what the model gets right where there are labels. */
#include "flow_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/softmax.h"

#include <math.h>

/* Rows [begin, begin + n) under labels, (n), NULL: there are none. */
typedef struct distilled_rows {
  const esp_outputs *outputs;
  int64_t begin, n;
  const int32_t *labels;
  double temperature, mix;
} distilled_rows;

/* Values side by side, in the same order for every instruction set. */
enum { LANES = 8 };

/* The sum of p (a - b). */
ESP_CLONES static double sum_differences(const float *p, const float *a, const float *b,
                                         int64_t n) {
  double sums[LANES] = {0.0}, sum = 0.0;
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++)
      sums[j] += (double)p[i + j] * ((double)a[i + j] - (double)b[i + j]);
  for (; i < n; i++) sum += (double)p[i] * ((double)a[i] - (double)b[i]);
  for (int j = 0; j < LANES; j++) sum += sums[j];
  return sum;
}

/* d = keep d + s p - t q of factors (keep, t, s) and both (q, p); with keep 0, d is not read. */
ESP_CLONES static void mix(float *restrict d, int64_t n, const float factors[3],
                           float *const both[2]) {
  const float keep = factors[0], t = factors[1], s = factors[2];
  const float *restrict q = both[0], *restrict p = both[1];
  if (keep > 0.0f) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) d[i] = keep * d[i] + s * p[i] - t * q[i];
    return;
  }
#pragma omp simd
  for (int64_t i = 0; i < n; i++) d[i] = s * p[i] - t * q[i];
}

/* KL of two rows of logits, given their exponentials and sums. */
static double compute_divergence(const float *const logits[2], float *const p[2],
                                 const double sums[2], const distilled_rows *self) {
  const int64_t n = self->outputs->model->n_outputs;
  const double tops[2] = {(double)esp_softmax_find_top(logits[0], n),
                          (double)esp_softmax_find_top(logits[1], n)};
  const double sum = sum_differences(p[0], logits[0], logits[1], n);
  return (sum / sums[0] - tops[0] + tops[1]) / self->temperature + log(sums[1] / sums[0]);
}

/* p (n) = exp((values - top) / T); returns its sum. */
static double exponentiate(const distilled_rows *self, const float *values, float *p) {
  const int64_t n = self->outputs->model->n_outputs;
  return esp_softmax_exponentiate(values, n, esp_softmax_find_top(values, n),
                                  (float)(1.0 / self->temperature), p);
}

/* One row; scratch (2, n) gets the exponentials of teacher and model. */
static double measure_row(const distilled_rows *self, int64_t r, float *scratch) {
  const esp_outputs *outputs = self->outputs;
  const int64_t n = outputs->model->n_outputs, at = (self->begin + r) * n;
  const double T = self->temperature, part = 1.0 - self->mix;
  const float *const logits[2] = {outputs->teacher + at, outputs->logits + at};
  float *const p[2] = {scratch, scratch + n};
  const double sums[2] = {exponentiate(self, logits[0], p[0]), exponentiate(self, logits[1], p[1])};
  double loss = part * T * T * compute_divergence(logits, p, sums, self);
  float *d = outputs->dlogits ? outputs->dlogits + at : NULL;
  if (self->mix > 0.0 && self->labels)
    loss += self->mix * cross_entropy_compute(logits[1], self->labels + r, 1, n, d);
  const float keep = self->mix > 0.0 && self->labels ? (float)self->mix : 0.0f;
  const float factors[3] = {keep, (float)(part * T / sums[0]), (float)(part * T / sums[1])};
  if (d) mix(d, n, factors, p);
  return loss;
}

static void measure_rows(const distilled_rows *self, esp_tally *tally) {
  const esp_outputs *outputs = self->outputs;
  const int64_t n = outputs->model->n_outputs;
  const esp_workspace_mark mark = esp_workspace_set_mark(outputs->workspace);
  float *scratch = ESP_TAKE(outputs->workspace, float, 2 * n);
  double loss = 0.0;
  if (tally && self->labels)
    tally->correct +=
        cross_entropy_count_correct(outputs->logits + self->begin * n, self->labels, self->n, n);
  for (int64_t r = 0; r < self->n; r++) loss += measure_row(self, r, scratch);
  if (tally) tally_add_loss(tally, loss, self->n);
  esp_workspace_release(outputs->workspace, mark);
}

/* Rows of a sequence under the tokens that they predict. */
static void measure_sequence(distilled_rows rows, int64_t s, int64_t shift, esp_tally *tally) {
  const esp_batch *batch = rows.outputs->batch;
  rows.begin = s * batch->width;
  rows.n = (batch->lengths ? batch->lengths[s] : batch->width) - shift;
  rows.labels = batch->tokens + rows.begin + shift;
  measure_rows(&rows, tally);
  objective_clear_rows(rows.outputs, rows.begin + rows.n, batch->width - rows.n);
}

/* A token that is not masked has a teacher alone, no label; it counts as right if it is found. */
static void measure_seen(distilled_rows rows, esp_tally *tally) {
  const esp_outputs *outputs = rows.outputs;
  const int64_t n = outputs->model->n_outputs;
  if (tally)
    tally->correct += cross_entropy_count_correct(outputs->logits + rows.begin * n,
                                                  outputs->batch->tokens + rows.begin, 1, n);
  rows.labels = NULL;
  measure_rows(&rows, tally);
}

static bool is_padding(const esp_batch *batch, int64_t row) {
  return batch->lengths && row % batch->width >= batch->lengths[row / batch->width];
}

/* Of tokens that are masked, or of all. */
static void measure_hidden(distilled_rows rows, bool is_everywhere, esp_tally *tally) {
  const esp_batch *batch = rows.outputs->batch;
  rows.n = 1;
  for (rows.begin = 0; rows.begin < batch->count * batch->width; rows.begin++) {
    rows.labels = batch->hidden + rows.begin;
    if (*rows.labels >= 0)
      measure_rows(&rows, tally);
    else if (is_everywhere && !is_padding(batch, rows.begin))
      measure_seen(rows, tally);
    else
      objective_clear_rows(rows.outputs, rows.begin, 1);
  }
}

static void measure(const esp_outputs *self, esp_tally *tally) {
  const esp_objective_options *options = self->options;
  distilled_rows rows = {.outputs = self,
                         .temperature = options ? options->temperature : 1.0,
                         .mix = options ? options->mix : 0.0};
  if (self->model->task == ESP_TASK_CLASSIFY) {
    rows.n = esp_batch_count_outputs(self->model, self->batch);
    rows.labels = self->labels ? self->labels : self->batch->labels;
    measure_rows(&rows, tally);
    return;
  }
  if (self->batch->hidden) {
    measure_hidden(rows, options && options->is_everywhere, tally);
    return;
  }
  const int64_t shift = self->model->task == ESP_TASK_LANGUAGE ? 1 : 0;
  for (int64_t s = 0; s < self->batch->count; s++) measure_sequence(rows, s, shift, tally);
}

const esp_objective objective_distillation = {
    .name = "distillation",
    .summary = "divergence from a teacher's predictions",
    .task = ESP_ANY_TASK,
    .needs_teacher = true,
    .measure = measure,
};
