/* Sizes of STATS.h5 and PRUNED.h5: contiguous datasets, so the products of their dimensions, and
 * what HDF5 adds: a header an object, padded to 64 bytes (measured). */
#include "plan.h"

enum {
  FILE_BYTES = 4100,        // superblock, root group, /meta and /valid of statistics
  SITE_BYTES = 2432,        // a group with seven datasets
  HALF_BYTES = 1400,        // the group of its half, with five
  OBJECT_BYTES = 336,       // one more dataset
  PRUNED_BYTES = 3700,      // /config, /report and /meta of a pruned model without its sites
  REPORT_SITE_BYTES = 1480, // a site in the report, its repair included
  REPORT_STEP_BYTES = 80    // a doubling of the samples
};

/* Edges, four vectors of moments, planes, and the covariance. */
static double site_bytes(const plan_job *plan, double features, bool covariance) {
  const double planes = plan->bins - 1;
  const double moments = 4.0 * 8.0 * features + (covariance ? 4.0 * features * features : 0.0);
  return SITE_BYTES + (plan->parts - 1) * (HALF_BYTES + moments) +
         features * (planes * 4.0 + 4.0 * 8.0) +
         features * planes * (double)(plan->n_batches * plan->words) * 8.0 +
         (covariance ? 4.0 * features * features : 0.0);
}

static double statistics_bytes(const plan_job *plan) {
  const esp_model *model = plan->job.dense;
  const double width = (double)model->width.units;
  double sum = FILE_BYTES + 8.0 * (double)plan->n_batches;
  for (int s = 0; s < model->n_stages; s++) {
    sum += site_bytes(plan, (double)plan_features(plan, s), plan->has_covariance);
    if (plan->has_width) sum += site_bytes(plan, width, plan->has_covariance);
    const double outputs = (double)model->stages[s].state_out;
    if (plan->fisher_rows > 0) sum += OBJECT_BYTES + 4.0 * outputs * outputs;
  }
  if (plan->has_width) sum += site_bytes(plan, width, plan->has_covariance);
  if (plan->has_width) sum += 8.0 * (double)esp_model_count_layers(model);
  return sum + site_bytes(plan, (double)plan->logits, false) + 8.0 * (double)plan->logits;
}

static double pruned_bytes(const plan_job *plan) {
  const esp_model *dense = plan->job.dense, *pruned = plan->job.pruned;
  double sum = PRUNED_BYTES;
  if (plan->doublings > 0) sum += REPORT_STEP_BYTES * (double)(plan->doublings + 1);
  for (int i = 0; i < pruned->n_weights; i++) {
    const esp_weight *weight = &pruned->weights[i];
    sum += OBJECT_BYTES + (double)esp_weight_count(weight) * (double)esp_dtype_bytes(weight->type);
  }
  if (drops_layers(&plan->job))
    return sum + 2.0 * OBJECT_BYTES +
           8.0 * (double)(plan->job.layers.n_kept + esp_model_count_layers(dense));
  for (int s = 0; s < dense->n_stages; s++)
    sum += 2.0 * OBJECT_BYTES + REPORT_SITE_BYTES + 8.0 * (double)plan->job.selection.n_kept[s] +
           8.0 * (double)dense->stages[s].units;
  if (has_width(&plan->job)) sum += 8.0 * 2.0 * (double)dense->width.units;
  return sum;
}

json_t *plan_files(const plan_job *plan) {
  json_t *files = json_object();
  if (plan->collects)
    json_object_set_new(files, "statistics_bytes",
                        json_integer((json_int_t)statistics_bytes(plan)));
  json_object_set_new(files, "pruned_bytes", json_integer((json_int_t)pruned_bytes(plan)));
  return files;
}
