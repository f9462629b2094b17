#include "flow_internal.h"

#include "espalier/core/clones.h"
#include "espalier/core/elementary.h"

#include <math.h>
#include <string.h>

/* Values side by side, in the same order for every instruction set; values at a time. */
enum { LANES = 8, LARGEST_LANES = 16, BLOCK = 512 };

/* Of values that are no numbers, only the first would be it. */
ESP_CLONES static float find_top(const float *values, int64_t n) {
  float tops[LARGEST_LANES];
  int64_t i = 0;
  for (int j = 0; j < LARGEST_LANES; j++) tops[j] = values[0];
  for (; i + LARGEST_LANES <= n; i += LARGEST_LANES) {
#pragma omp simd
    for (int j = 0; j < LARGEST_LANES; j++)
      tops[j] = values[i + j] > tops[j] ? values[i + j] : tops[j];
  }
  for (; i < n; i++) tops[0] = values[i] > tops[0] ? values[i] : tops[0];
  for (int j = 1; j < LARGEST_LANES; j++) tops[0] = tops[j] > tops[0] ? tops[j] : tops[0];
  return tops[0];
}

ESP_CLONES static bool has_value(const float *values, int64_t n, float value) {
  int found = 0;
#pragma omp simd reduction(| : found)
  for (int64_t i = 0; i < n; i++) found |= values[i] == value;
  return found;
}

/* The first of the largest. */
static int64_t find_largest(const float *values, int64_t n) {
  const float top = find_top(values, n);
  int64_t i = 0;
  while (i + BLOCK <= n && !has_value(values + i, BLOCK, top)) i += BLOCK;
  for (; i < n; i++)
    if (values[i] == top) return i;
  return 0; // none is a number
}

ESP_CLONES static void exponentiate(const float *z, int64_t n, double top, double *e) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) e[i] = esp_exp_double(z[i] - top);
}

static double sum_exponentials(const float *z, int64_t n, double top) {
  double sums[LANES] = {0.0}, sum = 0.0, e[BLOCK];
  for (int64_t c = 0; c < n; c += BLOCK) {
    const int64_t count = n - c < BLOCK ? n - c : BLOCK;
    int64_t i = 0;
    exponentiate(z + c, count, top, e);
    for (; i + LANES <= count; i += LANES)
      for (int j = 0; j < LANES; j++) sums[j] += e[i + j];
    for (; i < count; i++) sum += e[i];
  }
  for (int j = 0; j < LANES; j++) sum += sums[j];
  return sum;
}

/* May work in place. */
ESP_CLONES static void write_softmax(const float *z, int64_t n, float top, float factor, float *p) {
#pragma omp simd
  for (int64_t c = 0; c < n; c++) p[c] = esp_exp_fast(z[c] - top) * factor;
}

double cross_entropy_compute(const float *logits, const int32_t *labels, int64_t rows,
                             int64_t classes, float *dlogits) {
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    const float *z = logits + r * classes;
    const float top = z[find_largest(z, classes)];
    const double sum = sum_exponentials(z, classes, (double)top);
    loss += log(sum) + (double)top - (double)z[labels[r]];
    if (!dlogits) continue;
    write_softmax(z, classes, top, (float)(1.0 / sum), dlogits + r * classes);
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
