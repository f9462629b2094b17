/* The costs of a selection: the sum over its structures. */
#include "costs.h"
#include "structure.h"

#include "espalier/io/cost.h"

bool esp_prune_selects(const esp_prune_sketch *sketch) {
  for (const esp_prune_structure *const *row = sketch->request->structures; *row; row++)
    if ((*row)->sketch.add_select_cost) return true;
  return false;
}

void esp_prune_add_selection_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                  esp_selection_cost *self) {
  for (const esp_prune_structure *const *row = sketch->request->structures; *row; row++)
    if ((*row)->sketch.add_select_cost) (*row)->sketch.add_select_cost(sketch, stats, self);
}

bool esp_prune_measures_stability(const esp_prune_sketch *sketch, int64_t n_batches) {
  return sketch->collect.halves && n_batches >= 2 && structures_measure_stability(sketch->request);
}

void esp_prune_add_structure_cost(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                                  esp_cost *cost) {
  for (const esp_prune_structure *const *row = sketch->request->structures; *row; row++)
    if ((*row)->sketch.add_repair_cost) (*row)->sketch.add_repair_cost(sketch, stats, cost);
}

void esp_prune_add_ways(const esp_prune_sketch *sketch, const esp_stats_shape *stats,
                        esp_sweep_ways *ways) {
  for (const esp_prune_structure *const *row = sketch->request->structures; *row; row++)
    if ((*row)->sketch.add_ways) (*row)->sketch.add_ways(sketch, stats, ways);
}

double file_bytes_of_site(int64_t kept, int64_t units) {
  return 2.0 * ESP_H5_OBJECT_BYTES + sizeof(int64_t) * (double)kept +
         sizeof(double) * (double)units;
}

/* Measured, HDF5's own headers included: /config, /report and /meta without sites; a round in the
 * report. */
double esp_prune_file_bytes(const esp_prune_sketch *sketch, int64_t rounds) {
  enum { REPORT = 3700, ROUND = 80 };
  double sum = REPORT + ROUND * (double)rounds;
  for (const esp_prune_structure *const *row = sketch->request->structures; *row; row++)
    if ((*row)->sketch.count_file_bytes) sum += (*row)->sketch.count_file_bytes(sketch);
  return sum;
}
