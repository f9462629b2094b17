#include "repair_cost.h"
#include "streams.h"

#include "espalier/model/cost.h"

/* Some outputs of a map: the dense rows, the start and the fit. */
static void add_rows(const esp_repair_shape *shape, fit_size size, esp_cost *cost) {
  const double d = (double)shape->dense->width.units, rows = (double)shape->samples->rows;
  const double held = 2.0 * fit_value_bytes(size) + sizeof(float) * size.n_out * d;
  esp_cost_hold(cost, held);
  streams_add_fit_cost(shape, size, 0.0, cost);
  esp_cost_hold(cost, -held);
  cost->work.flops += 2.0 * rows * d * size.n_out; // the targets
}

/* All that was fitted of a map is kept until the whole of it is. */
static void add_reader(const esp_repair_shape *shape, const esp_linear *cut, esp_cost *cost) {
  esp_cost_hold(cost, fit_value_bytes(
                          (fit_size){.n_in = (double)cut->inputs, .n_out = (double)cut->outputs}));
  for (int64_t begin = 0; begin < cut->outputs; begin += STREAM_OUTPUTS) {
    const int64_t left = cut->outputs - begin, n = left < STREAM_OUTPUTS ? left : STREAM_OUTPUTS;
    add_rows(shape, (fit_size){.n_in = (double)cut->inputs, .n_out = (double)n}, cost);
  }
}

void readers_add_cost(const esp_repair_shape *shape, int stage, esp_cost *cost) {
  const esp_model *pruned = shape->pruned;
  for (int i = 0; i < pruned->width.n_readers && shape->is_width_cut; i++) {
    const esp_reader *reader = &pruned->width.readers[i];
    const bool is_tied = pruned->weights[reader->linear.weight].stage == ESP_STAGE_EMBED;
    if (reader->stage == stage && !is_tied) add_reader(shape, &reader->linear, cost);
  }
}

void readers_all_add_cost(const esp_repair_shape *shape, esp_cost *cost) {
  const double held = streams_bytes(shape);
  esp_cost_hold(cost, held);
  for (int s = 0; s <= shape->dense->n_stages; s++) {
    const double loaded = stage_loaded_bytes(shape, s);
    esp_cost_hold(cost, loaded);
    readers_add_cost(shape, s, cost);
    esp_cost_hold(cost, -loaded);
  }
  esp_cost_hold(cost, -held);
  streams_add_dense_work(shape, &cost->work);
}
