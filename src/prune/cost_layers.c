/* Choosing whole layers (structure_layers.c): by the information of every dimension of the stream
 * below a layer with itself above it, or by what was collected. */
#include "costs.h"

static void add_information(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                            esp_cost *cost) {
  const int64_t d = sketch->request->dense->width.units,
                layers = esp_model_count_layers(sketch->request->dense);
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

void add_select_cost_of_layers(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                               esp_selection_cost *self) {
  const double layers = (double)esp_model_count_layers(sketch->request->dense);
  if (sketch->request->criterion->needs & ESP_NEEDS_LAYER_INFORMATION)
    add_information(sketch, stats, &self->select);
  else
    esp_cost_send(&self->select, sketch->ranks, ESP_BCAST, sizeof(double) * layers);
}

double file_bytes_of_layers(const esp_prune_sketch *sketch) {
  return file_bytes_of_site(sketch->n_layers, esp_model_count_layers(sketch->request->dense));
}
