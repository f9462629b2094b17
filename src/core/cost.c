#include "espalier/core/cost.h"

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

static void scale(esp_work *self, double times) {
  self->flops *= times;
  self->solver *= times;
  self->serial *= times;
  self->values *= times;
  self->every *= times;
  self->words *= times;
  self->bytes *= times;
  self->reduced *= times;
  self->solves *= times;
  self->datasets *= times;
}

void esp_cost_touch(esp_cost *self, double bytes) {
  const double peak = self->kept_bytes + bytes;
  if (peak > self->peak_bytes) self->peak_bytes = peak;
}

void esp_cost_hold(esp_cost *self, double bytes) {
  esp_cost_touch(self, bytes);
  self->kept_bytes += bytes;
}

void esp_cost_send(esp_cost *self, int ranks, esp_collective kind, double bytes) {
  if (ranks > 1) self->traffic[kind] += bytes;
}

void esp_cost_add(esp_cost *self, const esp_cost *step) {
  esp_cost_touch(self, step->peak_bytes);
  self->kept_bytes += step->kept_bytes;
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) self->traffic[i] += step->traffic[i];
  esp_work_add(&self->work, &step->work);
}

void esp_cost_repeat(esp_cost *self, double times) {
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) self->traffic[i] *= times;
  scale(&self->work, times);
}
