#include "espalier/prune/report.h"

#include "allocate.h"

#include "espalier/core/memory.h"

#include <math.h>

void esp_prune_report_clear(esp_prune_report *self) {
  allocation_report_clear(&self->allocated);
  esp_free(&self->sites);
  esp_free(&self->layers.kept);
  esp_free(&self->layers.by_layer);
  esp_free(&self->masks.rows);
  esp_free(&self->stability.note);
  esp_free(&self->statistics_note);
  esp_free(&self->information_note);
  esp_free(&self->rounds.rows);
  esp_free(&self->warning);
  esp_repair_report_clear(&self->parts.repairs);
  json_decref(self->parts.collection);
  esp_train_report_clear(&self->parts.recovery);
  json_decref(self->parts.run);
  esp_prune_request_free(&self->request);
  *self = (esp_prune_report){0};
}

/* Sites may have sparsities of their own: the largest. */
double esp_prune_report_get_asked(const esp_prune_report *self) {
  const esp_prune_request *request = self->request;
  double largest = fmax(0.0, request->layer_sparsity);
  if (self->allocation && self->allocation->needs_scores)
    return request->budget ? request->budget->sparsity : request->asked;
  for (int i = 0; i <= request->dense->n_stages; i++) largest = fmax(largest, request->sparsity[i]);
  return largest;
}
