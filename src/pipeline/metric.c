/* Fisher information as the metric of a site's outputs: of those that the selection above
 * preserves. */
#include "pipeline.h"

#include "espalier/core/memory.h"
#include "espalier/select/metric.h"

#include <string.h>

bool wants_fisher(const prune_job *job) {
  return job->criterion->needs & ESP_NEEDS_METRIC &&
         strcmp(job->settings->prune.metric, "outputs") != 0;
}

bool uses_fisher(const prune_job *job) {
  return wants_fisher(job) &&
         json_integer_value(json_object_get(job->stats->meta, ESP_META_FISHER)) > 0;
}

esp_status check_metric(const prune_job *job) {
  if (strcmp(job->settings->prune.metric, "fisher") != 0 || uses_fisher(job)) return ESP_OK;
  if (!(job->criterion->needs & ESP_NEEDS_METRIC))
    return esp_fail(ESP_USAGE, "--metric fisher is for criterion 'set-mi', not '%s'",
                    job->criterion->name);
  return esp_fail(
      ESP_MISMATCH,
      "%s: --metric fisher needs the Fisher information, which was not collected; collect "
      "again, with --fisher-tokens",
      job->stats->path);
}

static double *copy_preserved(const float *fisher, int64_t n, const int64_t *rows, int64_t n_rows) {
  double *metric = ESP_NEW(double, n_rows *n_rows);
  for (int64_t i = 0; i < n_rows; i++)
    for (int64_t j = 0; j < n_rows; j++)
      metric[i * n_rows + j] = (double)fisher[(rows ? rows[i] : i) * n + (rows ? rows[j] : j)];
  return metric;
}

esp_status evidence_apply_metric_local(prune_job *job, int stage, site_evidence *self) {
  const esp_stage *site = &job->dense->stages[stage];
  const esp_linear *linear = &site->consumer;
  if (!self->fisher) return ESP_OK;
  int64_t n_rows;
  int64_t *rows = esp_selection_indices(&job->selection, job->dense, linear->weight,
                                        linear->input_major ? 1 : 0, &n_rows);
  double *metric = copy_preserved(self->fisher, linear->outputs, rows, n_rows);
  esp_free(&self->fisher);
  const esp_status status = esp_metric_apply(site->name, n_rows, metric, linear->inputs, self->map);
  esp_free(&metric);
  esp_free(&rows);
  return status;
}
