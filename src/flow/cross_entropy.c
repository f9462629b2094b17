#include "flow_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/softmax.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 512 }; // values at a time

ESP_CLONES static bool has_value(const float *values, int64_t n, float value) {
  int found = 0;
#pragma omp simd reduction(| : found)
  for (int64_t i = 0; i < n; i++) found |= values[i] == value;
  return found;
}

/* The first of the largest. */
static int64_t find_largest(const float *values, int64_t n) {
  const float top = esp_softmax_find_top(values, n);
  int64_t i = 0;
  while (i + BLOCK <= n && !has_value(values + i, BLOCK, top)) i += BLOCK;
  for (; i < n; i++)
    if (values[i] == top) return i;
  return 0; // none is a number
}

static double sum_exponentials(const float *z, int64_t n, float top) {
  float e[BLOCK];
  double sum = 0.0;
  for (int64_t c = 0; c < n; c += BLOCK)
    sum += esp_softmax_exponentiate(z + c, n - c < BLOCK ? n - c : BLOCK, top, 1.0f, e);
  return sum;
}

ESP_CLONES static void scale(float *p, int64_t n, float factor) {
#pragma omp simd
  for (int64_t c = 0; c < n; c++) p[c] *= factor;
}

/* May work in place; returns the sum of the exponentials. */
static double write_softmax(const float *z, int64_t n, float top, float *p) {
  const double sum = esp_softmax_exponentiate(z, n, top, 1.0f, p);
  scale(p, n, (float)(1.0 / sum));
  return sum;
}

double cross_entropy_compute(const float *logits, const int32_t *labels, int64_t rows,
                             int64_t classes, float *dlogits) {
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    const float *z = logits + r * classes;
    const float top = z[find_largest(z, classes)], label = z[labels[r]];
    float *p = dlogits ? dlogits + r * classes : NULL;
    const double sum = p ? write_softmax(z, classes, top, p) : sum_exponentials(z, classes, top);
    loss += log(sum) + (double)top - (double)label;
    if (p) p[labels[r]] -= 1.0f;
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
