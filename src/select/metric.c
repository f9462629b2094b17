#include "espalier/select/metric.h"

#include "espalier/core/memory.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

enum { PANEL = 256 };

static const double SHRINKAGE = 0.1; // one of three values tried: docs/experiments.md

static double compute_trace(const double *metric, int64_t n) {
  double trace = 0.0;
  for (int64_t i = 0; i < n; i++) trace += metric[i * n + i];
  return trace;
}

/* A column-major lower factor L of F = L L^T is, row-major, the upper R of F = R^T R. */
esp_status esp_metric_apply(const char *site, int64_t n, double *metric, int64_t features,
                            float *map) {
  const int size = esp_int(n);
  const double ridge = SHRINKAGE * compute_trace(metric, n) / (double)(n > 0 ? n : 1);
  int info = ridge > 0.0 && isfinite(ridge) ? 0 : -1;
  for (int64_t i = 0; i < n; i++) metric[i * n + i] += ridge;
  if (info == 0) info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', size, metric, size);
  if (info != 0)
    return esp_fail(ESP_NUMERIC,
                    "site '%s': expected a positive Fisher information, found none; collect it "
                    "again with more --fisher-tokens, or choose --metric outputs",
                    site);
  float *root = ESP_NEW(float, n *n);
  for (int64_t i = 0; i < n * n; i++) root[i] = (float)(metric[i] * sqrt(0.5));
  cblas_strmm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, size,
              esp_int(features), 1.0f, root, size, map, esp_int(features));
  esp_free(&root);
  return ESP_OK;
}

void esp_metric_add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double n = (double)shape->outputs, f = (double)(shape->units * shape->width);
  esp_cost_touch(cost, (sizeof(double) + sizeof(float)) * n * n);
  cost->work.serial += n * n * (n / 3.0 + f);
}

static double dot(const double *a, const float *b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * (double)b[i];
  return sum;
}

/* tr(M G M^T) by panels of outputs. */
double esp_metric_price_whole(const esp_evidence *evidence, const double *mean) {
  const int64_t n = evidence->units * evidence->width, outputs = evidence->outputs;
  double *rows = ESP_NEW(double, PANEL *n), *product = ESP_NEW(double, PANEL *n), price = 0.0;
  for (int64_t first = 0; first < outputs && n > 0; first += PANEL) {
    const int64_t count = outputs - first < PANEL ? outputs - first : PANEL;
    const float *map = evidence->map + first * n;
    for (int64_t i = 0; i < count * n; i++) rows[i] = (double)map[i];
    cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, esp_int(n), esp_int(count), 1.0,
                evidence->covariance, esp_int(n), rows, esp_int(n), 0.0, product, esp_int(n));
    price += dot(product, map, count * n);
    for (int64_t i = 0; i < count && mean; i++) {
      const double shift = dot(mean, map + i * n, n);
      price += shift * shift;
    }
  }
  esp_free(&product);
  esp_free(&rows);
  return price;
}
