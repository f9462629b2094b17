/* Unstructured masks (structure_masks.c): matrix by matrix, each by one rank. */
#include "costs.h"

#include "espalier/model/cost.h"

/* The mask, and the norms of its inputs with the rest of their site. */
static void add_mask(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                     const masked_matrix *matrix, esp_cost *cost) {
  const esp_weight *weight = &sketch->request->dense->weights[matrix->weight];
  const int64_t inputs = weight->shape[matrix->input_major ? 0 : 1];
  const int64_t count = esp_weight_count(weight);
  const double bytes = (double)esp_mask_bytes(count);
  const double loaded = esp_model_loaded_bytes(sketch->request->dense, weight->stage);
  if (mask_reads_norms(sketch->request, matrix))
    esp_stats_add_load_cost(stats, (double)inputs, 0, cost);
  esp_cost_hold(cost, bytes + loaded);
  esp_mask_add_cost(inputs > 0 ? count / inputs : 0, inputs, cost);
  esp_cost_hold(cost, -loaded);
  esp_cost_send(cost, sketch->ranks, ESP_BCAST, bytes);
}

void add_repair_cost_of_masks(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                              esp_cost *cost) {
  for (int w = 0; w < sketch->request->dense->n_weights; w++) {
    const masked_matrix matrix = mask_describe(sketch->request, w);
    if (matrix.sparsity >= 0.0) add_mask(sketch, stats, &matrix, cost);
  }
}
