#include "flow_internal.h"

#include <math.h>

static const double largest_loss = 1e6; // nats a target: 8 million targets of it fit the sum

void tally_add_loss(esp_tally *self, double loss, int64_t targets) {
  const double most = largest_loss * (double)targets;
  self->targets += targets;
  if (!isfinite(loss)) {
    self->is_undefined = true;
    return;
  }
  if (targets > 0 && loss >= most) self->is_capped = true;
  self->loss += (int64_t)(fmin(loss, most) * 0x1p20);
}

double esp_tally_compute_loss(const esp_tally *self) {
  const double mean =
      (double)self->loss * 0x1p-20 / (double)(self->targets > 0 ? self->targets : 1);
  return self->unit > 0.0 ? mean * self->unit : mean;
}

void esp_tally_reduce(const esp_comm *comm, esp_tally *self) {
  int64_t sums[5] = {self->targets, self->correct, self->loss, self->cosine, self->hits};
  esp_allreduce_sum_i64(comm, sums, 5);
  self->targets = sums[0];
  self->correct = sums[1];
  self->loss = sums[2];
  self->cosine = sums[3];
  self->hits = sums[4];
}
