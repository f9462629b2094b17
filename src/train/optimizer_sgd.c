/* Stochastic gradient descent with momentum, decoupled weight decay. */
#include "optimizer.h"

static void apply(const optimizer_step *step) {
  const float momentum = (float)step->momentum, rate = (float)step->rate;
  const float keep = (float)(1.0 - step->rate * step->weight_decay);
  float *restrict velocity = step->slots[0], *restrict w = step->parameters;
  for (int64_t i = 0; i < step->n; i++) {
    velocity[i] = momentum * velocity[i] + step->gradient[i];
    w[i] = keep * w[i] - rate * velocity[i];
  }
}

const optimizer optimizer_sgd = {.name = "sgd", .n_slots = 1, .second_moment = -1, .apply = apply};
