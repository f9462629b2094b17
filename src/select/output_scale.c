#include "espalier/core/memory.h"
#include "gaussian.h"

#include <cblas.h>
#include <math.h>

enum { PANEL = 256 };

/* Below this part of the mean variance an output hardly speaks and is not blown up further. */
static const double TINY = 1e-6;

/* variance_j = m_j G m_j^T for `count` rows of the map from `first`. */
static void compute_variances(const esp_gaussian *gaussian, int64_t first, int64_t count,
                              double *variance) {
  const int64_t n = gaussian->features;
  double *rows = ESP_NEW(double, count *n), *products = ESP_NEW(double, count *n);
  esp_gaussian_write_map(gaussian, first, count, rows);
  cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, esp_int(n), esp_int(count), 1,
              gaussian->evidence->covariance, esp_int(n), rows, esp_int(n), 0, products,
              esp_int(n));
  for (int64_t j = 0; j < count; j++)
    variance[j] = fmax(0, cblas_ddot(esp_int(n), rows + j * n, 1, products + j * n, 1));
  esp_free(&rows);
  esp_free(&products);
}

esp_status esp_compute_output_scale(const esp_evidence *evidence, double *scale) {
  esp_evidence unscaled = *evidence;
  unscaled.output_scale = NULL;
  esp_gaussian gaussian;
  ESP_TRY(esp_gaussian_init(&gaussian, &unscaled));
  const int64_t outputs = evidence->outputs;
  double sum = 0;
  for (int64_t j = 0; j < outputs && gaussian.features > 0; j += PANEL)
    compute_variances(&gaussian, j, outputs - j < PANEL ? outputs - j : PANEL, scale + j);
  for (int64_t j = 0; j < outputs; j++) sum += scale[j];
  for (int64_t j = 0; j < outputs; j++)
    scale[j] = sum > 0 ? 1 / sqrt(scale[j] + TINY * sum / (double)outputs) : 1;
  esp_gaussian_clear(&gaussian);
  return ESP_OK;
}

void esp_output_scale_add_cost(const esp_criterion_shape *shape, esp_cost *cost) {
  const double f = (double)(shape->units * shape->width), p = (double)shape->outputs;
  esp_cost_touch(cost, 2.0 * sizeof(double) * f * PANEL);
  cost->work.serial += 2.0 * f * f * p;
}
