#include "espalier/flow/masking.h"

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"

enum { STREAM_MASKS = 0x3a5c, DRAWS = 3 }; // whether, what, which

static bool may_mask(const esp_masking *self, int32_t token) {
  for (int i = 0; i < self->n_special; i++)
    if (self->special[i] == token) return false;
  return true;
}

static double draw(const esp_masking *self, int64_t place, int which) {
  return esp_rng_uniform(self->seed, STREAM_MASKS + self->pass * DRAWS + (uint64_t)which,
                         (uint64_t)place);
}

static int32_t replace(const esp_masking *self, int32_t token, int64_t place) {
  const double what = draw(self, place, 1);
  if (what < 0.8) return self->token;
  if (what >= 0.9) return token;
  return (int32_t)(draw(self, place, 2) * (double)self->vocabulary);
}

/* tokens and targets (n); place: of the first among all tokens of the data. */
static void mask_sequence(const esp_masking *self, int64_t n, int64_t place, int32_t *tokens,
                          int32_t *targets) {
  int64_t first = -1, count = 0;
  for (int64_t t = 0; t < n; t++) {
    if (!may_mask(self, tokens[t])) continue;
    if (first < 0) first = t;
    if (draw(self, place + t, 0) >= self->rate) continue;
    targets[t] = tokens[t];
    tokens[t] = replace(self, tokens[t], place + t);
    count++;
  }
  if (count > 0 || first < 0) return;
  targets[first] = tokens[first];
  tokens[first] = self->token;
}

void esp_masking_apply(const esp_masking *self, int64_t sample, int64_t s, esp_batch_buffer *buffer,
                       esp_batch *batch) {
  const int64_t width = batch->width;
  if (!buffer->hidden) buffer->hidden = ESP_NEW(int32_t, buffer->capacity * width);
  for (int64_t t = 0; t < width; t++) buffer->hidden[s * width + t] = -1;
  mask_sequence(self, batch->lengths ? batch->lengths[s] : width, sample * width,
                buffer->tokens + s * width, buffer->hidden + s * width);
  batch->hidden = buffer->hidden;
}
