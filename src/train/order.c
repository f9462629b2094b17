/* The order in which samples train. */
#include "train_internal.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

enum { STREAM_ORDER = 1 << 20 };

void order_set_epoch(training *self, int64_t epoch) {
  if (self->epoch == epoch) return;
  int64_t *order = ESP_NEW(int64_t, self->n_samples);
  esp_rng_permutation(self->request->seed, STREAM_ORDER + (uint64_t)epoch, self->n_samples, order);
  for (int64_t i = 0; i < self->n_samples; i++) order[i] = self->samples[order[i]];
  esp_shard_set_order(&self->shard, order);
  esp_free(&order);
  self->masking.pass = (uint64_t)epoch + 1;
  self->epoch = epoch;
}
