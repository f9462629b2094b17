#include "budgets.h"
#include "inputs.h"
#include "structure.h"

#include "espalier/collect/cost.h"
#include "espalier/core/memory.h"

static esp_status fill(esp_prune_sketch *self) {
  const esp_prune_structure *const *row;
  esp_status status = ESP_OK;
  for (row = self->request->structures; *row; row++)
    if ((*row)->sketch.fill_selection) (*row)->sketch.fill_selection(self);
  for (row = self->request->structures; *row && status == ESP_OK; row++)
    if ((*row)->sketch.cut) status = (*row)->sketch.cut(self);
  /* Allocations by price may go further than a sketch, which has no prices. */
  if (status == ESP_OK && self->request->budget && !self->request->allocation->is_by_price)
    status = budget_check(self->request, self->pruned);
  return status;
}

esp_status esp_prune_sketch_new(const esp_prune_request *request, int ranks,
                                esp_prune_sketch **sketch) {
  const esp_collect_settings collection = esp_prune_collection_of(request);
  esp_prune_sketch *self = ESP_NEW(esp_prune_sketch, 1);
  self->request = request;
  self->ranks = ranks;
  self->n_layers = -1;
  self->depends = ESP_NEW(bool, request->dense->n_stages);
  self->collect = collection.collect;
  self->collect.width = collection.streams;
  self->logits = esp_collect_count_logits(request->dense, &self->collect);
  esp_selection_init(&self->selection, request->dense->n_stages);
  *sketch = self;
  const esp_status status = fill(self);
  if (status != ESP_OK) esp_prune_sketch_free(sketch);
  return status;
}

void esp_prune_sketch_free(esp_prune_sketch **sketch) {
  esp_prune_sketch *self = *sketch;
  if (!self) return;
  esp_selection_clear(&self->selection);
  esp_model_free(&self->pruned);
  esp_free(&self->depends);
  esp_free(sketch);
}

esp_status esp_prune_sketch_read(esp_prune_sketch *sketch, const esp_stats *stats) {
  ESP_TRY(inputs_check_made(sketch->request, stats));
  sketch->collect.bins = stats->bins;
  sketch->collect.halves = sketch->collect.halves && stats->about.has_halves;
  sketch->logits = stats->about.logits;
  sketch->has_metric = metric_is_fisher(sketch->request, stats);
  return ESP_OK;
}

void esp_prune_sketch_collect(esp_prune_sketch *sketch, const esp_shard_shape *samples) {
  sketch->has_metric =
      esp_collect_count_fisher_rows(sketch->request->dense, &sketch->collect, samples) > 0;
}
