#include "repair_cost.h"

#include "espalier/model/cost.h"

void esp_repair_add_cost(const esp_repair *repair, const esp_repair_shape *shape, esp_cost *cost) {
  if (repair->cost) repair->cost(shape, cost);
}

fit_size consumer_size(const esp_model *pruned, int stage) {
  const esp_linear *linear = &pruned->stages[stage].consumer;
  return (fit_size){.n_in = (double)linear->inputs, .n_out = (double)linear->outputs};
}

double fit_value_bytes(fit_size size) {
  return sizeof(float) * size.n_in * size.n_out;
}

double stage_loaded_bytes(const esp_repair_shape *shape, int stage) {
  return esp_model_loaded_bytes(shape->dense, stage) + esp_model_loaded_bytes(shape->pruned, stage);
}

double consumer_row_bytes(const esp_repair_shape *shape, int stage) {
  const fit_size cut = consumer_size(shape->pruned, stage);
  const double inputs = (double)shape->dense->stages[stage].consumer.inputs;
  return sizeof(float) * cut.n_out * (inputs + cut.n_in);
}

bool repair_is_cut(const esp_repair_shape *shape, int stage) {
  return consumer_size(shape->pruned, stage).n_in != consumer_size(shape->dense, stage).n_in;
}

void repair_each_add_cost(const esp_repair_shape *shape, consumer_fit_cost fit, esp_cost *cost) {
  for (int s = 0; s < shape->dense->n_stages; s++) {
    if (!repair_is_cut(shape, s)) continue;
    const double held = stage_loaded_bytes(shape, s) + consumer_row_bytes(shape, s);
    esp_cost_hold(cost, held);
    fit(shape, s, cost);
    esp_cost_hold(cost, -held);
    esp_cost_hold(cost, fit_value_bytes(consumer_size(shape->pruned, s)));
  }
}
