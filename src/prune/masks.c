#include "masks.h"

#include <math.h>
#include <stdio.h>

static const esp_slice *find_slice(const esp_slice *slices, int n, int weight) {
  for (int s = 0; s < n; s++)
    if (slices[s].weight == weight) return &slices[s];
  return NULL;
}

static bool is_read(const esp_model *model, int stage, int weight) {
  int n;
  const esp_reader *readers = esp_model_get_readers(model, stage, &n);
  for (int i = 0; i < n; i++)
    if (readers[i].linear.weight == weight) return true;
  return false;
}

/* A consumer reads its own site; a producer the residual stream, where there is one. */
static void add_stage(const esp_prune_request *request, int stage, masked_matrix *self) {
  const esp_model *dense = request->dense;
  const esp_stage *site = &dense->stages[stage];
  const esp_slice *producer = find_slice(site->producers, site->n_producers, self->weight);
  const esp_slice *consumer = find_slice(site->consumers, site->n_consumers, self->weight);
  if (producer || consumer) self->sparsity = fmax(self->sparsity, request->sparsity[stage]);
  if (producer) self->input_major = producer->axis == 1;
  if (producer && is_read(dense, stage, self->weight))
    self->input = esp_stats_name_reader(dense, stage);
  if (!consumer) return;
  self->input_major = consumer->axis == 0;
  snprintf(self->input.text, sizeof self->input.text, "%s", site->name);
}

masked_matrix mask_describe(const esp_prune_request *request, int weight) {
  masked_matrix self = {.weight = weight, .sparsity = -1.0};
  if (request->dense->weights[weight].rank == 2)
    for (int i = 0; i < request->dense->n_stages; i++) add_stage(request, i, &self);
  return self;
}

/* They are of no use to some rules, and of some inputs not measured. */
bool mask_reads_norms(const esp_prune_request *request, const masked_matrix *self) {
  return request->criterion->needs & ESP_NEEDS_MOMENTS && *self->input.text;
}
