/* Fisher information as the metric of a site's outputs: of those that the selection above
 * preserves. */
#include "evidence.h"

#include "espalier/core/memory.h"
#include "espalier/select/metric.h"

static double *copy_preserved(const float *fisher, int64_t n, const int64_t *rows, int64_t n_rows) {
  double *metric = ESP_NEW(double, n_rows *n_rows);
  for (int64_t i = 0; i < n_rows; i++)
    for (int64_t j = 0; j < n_rows; j++)
      metric[i * n_rows + j] = (double)fisher[(rows ? rows[i] : i) * n + (rows ? rows[j] : j)];
  return metric;
}

esp_status evidence_apply_metric_local(const ranker *self, int stage, site_evidence *site) {
  const esp_model *dense = self->request->dense;
  const esp_linear *linear = &dense->stages[stage].consumer;
  if (!site->fisher) return ESP_OK;
  int64_t n_rows;
  int64_t *rows = esp_selection_indices(self->above, dense, linear->weight,
                                        linear->input_major ? 1 : 0, &n_rows);
  double *metric = copy_preserved(site->fisher, linear->outputs, rows, n_rows);
  esp_free(&site->fisher);
  const esp_status status =
      esp_metric_apply(dense->stages[stage].name, n_rows, metric, linear->inputs, site->map);
  esp_free(&metric);
  esp_free(&rows);
  return status;
}
