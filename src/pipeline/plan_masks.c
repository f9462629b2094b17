/* Unstructured masks (pipeline/unstructured.c): matrix by matrix, each by one rank. */
#include "plan.h"

#include "espalier/model/cost.h"

/* The mask, and the norms of its inputs with the rest of their site. */
static void add_mask(const plan_job *plan, const esp_stats_shape *stats,
                     const masked_matrix *matrix, esp_cost *cost) {
  const esp_weight *weight = &plan->job.dense->weights[matrix->weight];
  const int64_t inputs = weight->shape[matrix->input_major ? 0 : 1];
  const int64_t count = esp_weight_count(weight);
  const double bytes = (double)esp_mask_bytes(count);
  const double loaded = esp_model_loaded_bytes(plan->job.dense, weight->stage);
  if (mask_reads_norms(&plan->job, matrix)) esp_stats_add_load_cost(stats, (double)inputs, 0, cost);
  esp_cost_hold(cost, bytes + loaded);
  esp_mask_add_cost(inputs > 0 ? count / inputs : 0, inputs, cost);
  esp_cost_hold(cost, -loaded);
  esp_cost_send(cost, plan->ranks, ESP_BCAST, bytes);
}

void plan_add_masks_cost(const plan_job *plan, const esp_stats_shape *stats, esp_cost *cost) {
  for (int w = 0; w < plan->job.dense->n_weights; w++) {
    const masked_matrix matrix = mask_describe(&plan->job, w);
    if (matrix.sparsity >= 0.0) add_mask(plan, stats, &matrix, cost);
  }
}
