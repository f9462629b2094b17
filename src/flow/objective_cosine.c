/* What encoders without a head are compared by: the cosine between a model's embedding of a
 * sequence and a teacher's, which are the means of the final states over its tokens. The loss is 1
 * - cosine.
 */
#include "flow_internal.h"

#include <math.h>
#include <string.h>

/* Mean (n) of rows of states. */
static void average(const float *states, int64_t rows, int64_t n, double *mean) {
  for (int64_t j = 0; j < n; j++) mean[j] = 0.0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < n; j++) mean[j] += states[r * n + j] / (double)rows;
}

/* Products of the teacher's mean a and the model's b. */
typedef struct products {
  double ab, aa, bb;
} products;

static products multiply(const double *a, const double *b, int64_t n) {
  products self = {0};
  for (int64_t j = 0; j < n; j++) {
    self.ab += a[j] * b[j];
    self.aa += a[j] * a[j];
    self.bb += b[j] * b[j];
  }
  return self;
}

static bool is_defined(const products *self) {
  return self->aa > 0.0 && self->bb > 0.0;
}

/* Of -cosine by every token's state: -(a / sqrt(aa bb) - b ab / (bb sqrt(aa bb))) / rows. */
static void differentiate(const products *self, const double *const means[2], int64_t rows,
                          int64_t n, float *dstates) {
  const double norms = sqrt(self->aa * self->bb);
  for (int64_t j = 0; j < n; j++) {
    const double slope =
        is_defined(self) ? (means[1][j] * self->ab / self->bb - means[0][j]) / norms : 0.0;
    for (int64_t r = 0; r < rows; r++) dstates[r * n + j] = (float)(slope / (double)rows);
  }
}

/* Sequence s; means (2, n) are scratch. */
static void measure_sequence(const esp_outputs *self, int64_t s, double *means, esp_tally *tally) {
  const esp_batch *batch = self->batch;
  const int64_t n = self->model->n_outputs, at = s * batch->width * n;
  const int64_t rows = batch->lengths ? batch->lengths[s] : batch->width;
  double *const both[2] = {means, means + n};
  average(self->teacher + at, rows, n, both[0]);
  average(self->logits + at, rows, n, both[1]);
  const products sums = multiply(both[0], both[1], n);
  const double cosine = is_defined(&sums) ? sums.ab / sqrt(sums.aa * sums.bb) : 0.0;
  if (tally) tally->cosine += llrint(cosine * 0x1p40);
  if (tally) tally_add_loss(tally, 1.0 - cosine, 1);
  if (!self->dlogits) return;
  differentiate(&sums, (const double *const[2]){both[0], both[1]}, rows, n, self->dlogits + at);
  memset(self->dlogits + at + rows * n, 0,
         (size_t)((batch->width - rows) * n) * sizeof *self->dlogits);
}

static void measure(const esp_outputs *self, esp_tally *tally) {
  const esp_workspace_mark mark = esp_workspace_set_mark(self->workspace);
  double *means = ESP_TAKE(self->workspace, double, 2 * self->model->n_outputs);
  for (int64_t s = 0; s < self->batch->count; s++) measure_sequence(self, s, means, tally);
  esp_workspace_release(self->workspace, mark);
}

const esp_objective objective_cosine = {
    .name = "cosine",
    .summary = "cosine of every sequence's embedding with a teacher's",
    .task = ESP_TASK_EMBED,
    .needs_teacher = true,
    .measure = measure,
};
