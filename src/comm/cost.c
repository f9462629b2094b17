#include "espalier/comm/cost.h"

void esp_work_add(esp_work *self, const esp_work *step) {
  self->flops += step->flops;
  self->solver += step->solver;
  self->serial += step->serial;
  self->values += step->values;
  self->every += step->every;
  self->words += step->words;
  self->bytes += step->bytes;
  self->reduced += step->reduced;
  self->solves += step->solves;
  self->datasets += step->datasets;
}

void esp_cost_add(esp_cost *self, const esp_cost *step) {
  const double peak = self->kept_bytes + step->peak_bytes;
  if (peak > self->peak_bytes) self->peak_bytes = peak;
  self->kept_bytes += step->kept_bytes;
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) self->traffic[i] += step->traffic[i];
  esp_work_add(&self->work, &step->work);
}
