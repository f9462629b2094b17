#include "flow_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/elementary.h"

#include <math.h>
#include <string.h>

static int64_t find_largest(const float *values, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (values[i] > values[best]) best = i;
  return best;
}

/* Sums side by side, in the same order for every instruction set. */
enum { LANES = 8 };

ESP_CLONES static double sum_exponentials(const float *z, int64_t n, double top) {
  double sums[LANES] = {0.0}, sum = 0.0;
  int64_t c = 0;
  for (; c + LANES <= n; c += LANES)
    for (int j = 0; j < LANES; j++) sums[j] += esp_exp_double(z[c + j] - top);
  for (; c < n; c++) sum += esp_exp_double(z[c] - top);
  for (int j = 0; j < LANES; j++) sum += sums[j];
  return sum;
}

/* May work in place. */
ESP_CLONES static void write_softmax(const float *z, int64_t n, double top, double sum, float *p) {
#pragma omp simd
  for (int64_t c = 0; c < n; c++) p[c] = (float)(esp_exp_double(z[c] - top) / sum);
}

double cross_entropy_compute(const float *logits, const int32_t *labels, int64_t rows,
                             int64_t classes, float *dlogits) {
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    const float *z = logits + r * classes;
    const double top = z[find_largest(z, classes)];
    const double sum = sum_exponentials(z, classes, top);
    loss += log(sum) + top - z[labels[r]];
    if (!dlogits) continue;
    write_softmax(z, classes, top, sum, dlogits + r * classes);
    dlogits[r * classes + labels[r]] -= 1.0f;
  }
  return loss;
}

int64_t cross_entropy_count_correct(const float *logits, const int32_t *labels, int64_t rows,
                                    int64_t classes) {
  int64_t correct = 0;
  for (int64_t r = 0; r < rows; r++)
    correct += find_largest(logits + r * classes, classes) == labels[r];
  return correct;
}

/* Rows [begin, begin + n), whose labels are given. */
static void measure_part(const esp_outputs *self, int64_t begin, int64_t n, const int32_t *labels,
                         esp_tally *tally) {
  const int64_t classes = self->model->n_outputs, at = begin * classes;
  if (tally) tally->correct += cross_entropy_count_correct(self->logits + at, labels, n, classes);
  const double loss = cross_entropy_compute(self->logits + at, labels, n, classes,
                                            self->dlogits ? self->dlogits + at : NULL);
  if (tally) tally_add_loss(tally, loss, n);
}

void cross_entropy_measure_rows(const esp_outputs *self, const int32_t *labels, esp_tally *tally) {
  measure_part(self, 0, esp_batch_count_outputs(self->model, self->batch), labels, tally);
}

void objective_clear_rows(const esp_outputs *self, int64_t begin, int64_t n) {
  const int64_t classes = self->model->n_outputs;
  if (self->dlogits)
    memset(self->dlogits + begin * classes, 0, (size_t)(n * classes) * sizeof *self->dlogits);
}

void cross_entropy_measure_tokens(const esp_outputs *self, const int32_t *labels, int64_t shift,
                                  esp_tally *tally) {
  const esp_batch *batch = self->batch;
  for (int64_t s = 0; s < batch->count; s++) {
    const int64_t n = (batch->lengths ? batch->lengths[s] : batch->width) - shift;
    const int64_t begin = s * batch->width;
    measure_part(self, begin, n, labels + begin + shift, tally);
    objective_clear_rows(self, begin + n, batch->width - n);
  }
}

void cross_entropy_measure_hidden(const esp_outputs *self, esp_tally *tally) {
  const int32_t *hidden = self->batch->hidden;
  const int64_t rows = esp_batch_count_outputs(self->model, self->batch);
  for (int64_t r = 0; r < rows; r++)
    if (hidden[r] >= 0)
      measure_part(self, r, 1, hidden + r, tally);
    else
      objective_clear_rows(self, r, 1);
}
