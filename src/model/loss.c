#include "espalier/model/forward.h"

#include <math.h>

static int64_t find_largest(const float *values, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (values[i] > values[best]) best = i;
  return best;
}

double esp_softmax_loss(const float *logits, const int32_t *labels, int64_t rows, int64_t classes,
                        float *dlogits) {
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    const float *z = logits + r * classes;
    const double top = z[find_largest(z, classes)];
    double sum = 0.0;
    for (int64_t c = 0; c < classes; c++) sum += exp(z[c] - top);
    loss += log(sum) + top - z[labels[r]];
    if (!dlogits) continue;
    for (int64_t c = 0; c < classes; c++)
      dlogits[r * classes + c] = (float)(exp(z[c] - top) / sum) - (c == labels[r] ? 1.0f : 0.0f);
  }
  return loss;
}

int64_t esp_count_correct(const float *logits, const int32_t *labels, int64_t rows,
                          int64_t classes) {
  int64_t correct = 0;
  for (int64_t r = 0; r < rows; r++)
    correct += find_largest(logits + r * classes, classes) == labels[r];
  return correct;
}
