#include "train_internal.h"

#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static const float to_fixed = 0x1p40f;
static const float largest = 0x1p16f;     // of one micro-batch
static const float largest_sum = 0x1p22f; // of a batch, so that it fits 63 bits

void gradients_init(gradients *self, const esp_model *model, int64_t n_micro_batches) {
  const int64_t n = esp_model_count_parameters(model);
  *self = (gradients){.n = n,
                      .limit = fminf(largest, largest_sum / (float)n_micro_batches),
                      .micro = ESP_NEW(float, n),
                      .parts = ESP_NEW(float *, model->n_weights),
                      .sum = ESP_NEW(int64_t, n),
                      .mean = ESP_NEW(float, n)};
  float *next = self->micro;
  for (int i = 0; i < model->n_weights; i++) {
    self->parts[i] = next;
    next += esp_weight_count(&model->weights[i]);
  }
}

void gradients_clear(gradients *self) {
  esp_free(&self->micro);
  esp_free(&self->parts);
  esp_free(&self->sum);
  esp_free(&self->mean);
}

void gradients_zero_micro(gradients *self) {
  memset(self->micro, 0, (size_t)self->n * sizeof *self->micro);
}

bool gradients_add_local(gradients *self) {
  bool fine = true;
  for (int64_t i = 0; i < self->n; i++) fine &= fabsf(self->micro[i]) < self->limit;
  if (!fine) return false;
  for (int64_t i = 0; i < self->n; i++) self->sum[i] += (int64_t)(self->micro[i] * to_fixed);
  return true;
}

void gradients_reduce(const esp_comm *comm, gradients *self, int64_t samples) {
  const double scale = 0x1p-40 / (double)samples;
  esp_allreduce_sum_i64(comm, self->sum, self->n);
  for (int64_t i = 0; i < self->n; i++) self->mean[i] = (float)((double)self->sum[i] * scale);
  memset(self->sum, 0, (size_t)self->n * sizeof *self->sum);
}
