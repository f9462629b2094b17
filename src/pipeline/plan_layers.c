/* Whole layers: what choosing them holds, sends and computes. */
#include "plan.h"

static double count_streams(const plan_job *plan) {
  return (double)esp_model_count_layers(plan->job.dense) + 1.0; // before each layer, and the last
}

static bool reads_information(const plan_job *plan) {
  return plan->job.criterion->needs & ESP_NEEDS_LAYER_INFORMATION;
}

/* The stream below a layer, and above it as the file has it and as the kernels want it. */
double plan_layers_bytes(const plan_job *plan) {
  const double d = (double)plan->job.dense->width.units;
  return reads_information(plan) ? 3.0 * plan_planes_bytes(plan, d) : 0.0;
}

double plan_layers_read_bytes(const plan_job *plan) {
  const double d = (double)plan->job.dense->width.units;
  return reads_information(plan) ? count_streams(plan) * d * (4.0 * (plan->bins - 1) + 4.0 * 8.0)
                                 : 8.0 * (double)esp_model_count_layers(plan->job.dense);
}

/* Of every dimension the counts with itself, and the marginals on both sides. */
double plan_layers_reduced_bytes(const plan_job *plan) {
  const double d = (double)plan->job.dense->width.units, planes = plan->bins - 1;
  return reads_information(plan)
             ? (count_streams(plan) - 1.0) * d * (4.0 * planes * planes + 2.0 * 8.0 * planes)
             : 0.0;
}

double plan_layers_words(const plan_job *plan) {
  const double d = (double)plan->job.dense->width.units, planes = plan->bins - 1;
  return reads_information(plan) ? (count_streams(plan) - 1.0) * d * planes * planes *
                                       (double)(plan->share * plan->words)
                                 : 0.0;
}
