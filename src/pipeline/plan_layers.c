/* Choosing whole layers (pipeline/layers.c): by the information of every dimension of the stream
 * below a layer with itself above it, or by what was collected. */
#include "plan.h"

static void add_information(const plan_job *plan, const esp_stats_shape *stats, esp_cost *cost) {
  const int64_t d = plan->job.dense->width.units, layers = esp_model_count_layers(plan->job.dense);
  const double planes = esp_stats_plane_bytes(stats, (double)d);
  const esp_sweep_shape shape = {.x_units = d,
                                 .y_units = d,
                                 .x_bins = stats->bins,
                                 .y_bins = stats->bins,
                                 .samples = stats->rows,
                                 .ranks = stats->ranks,
                                 .words = stats->rank_words};
  esp_stats_add_load_cost(stats, (double)d, ESP_LOAD_PLANES, cost);
  for (int64_t l = 0; l < layers; l++) {
    esp_stats_add_load_cost(stats, (double)d, ESP_LOAD_PLANES, cost);
    esp_sweep_add_matched_cost(&shape, cost);
    esp_cost_hold(cost, -planes);
  }
  esp_cost_hold(cost, -planes);
}

void plan_add_layers_cost(const plan_job *plan, const esp_stats_shape *stats, esp_cost *cost) {
  const double layers = (double)esp_model_count_layers(plan->job.dense);
  if (plan->job.criterion->needs & ESP_NEEDS_LAYER_INFORMATION)
    add_information(plan, stats, cost);
  else
    esp_cost_send(cost, plan->ranks, ESP_BCAST, sizeof(double) * layers);
}
