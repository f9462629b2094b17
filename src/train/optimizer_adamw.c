/* AdamW: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019. */
#include "optimizer.h"

#include "espalier/core/clones.h"

#include <math.h>

ESP_CLONES static void apply(const optimizer_step *step) {
  const float beta1 = (float)step->momentum, beta2 = (float)step->beta2, epsilon = 1e-8f;
  const float rate = (float)(step->rate / (1.0 - pow(step->momentum, (double)step->number)));
  const float unbias = (float)(1.0 / (1.0 - pow(step->beta2, (double)step->number)));
  const float keep = (float)(1.0 - step->rate * step->weight_decay);
  float *restrict m = step->slots[0], *restrict v = step->slots[1];
  float *restrict w = step->parameters;
  const float *restrict g = step->gradient;
#pragma omp simd
  for (int64_t i = 0; i < step->n; i++) {
    m[i] = beta1 * m[i] + (1.0f - beta1) * g[i];
    v[i] = beta2 * v[i] + (1.0f - beta2) * g[i] * g[i];
    w[i] = keep * w[i] - rate * m[i] / (sqrtf(v[i] * unbias) + epsilon);
  }
}

const optimizer optimizer_adamw = {
    .name = "adamw", .n_slots = 2, .second_moment = 1, .apply = apply};
