/* Optimisers: one file, one row in optimizers.c. */
#ifndef ESPALIER_SRC_TRAIN_OPTIMIZER_H
#define ESPALIER_SRC_TRAIN_OPTIMIZER_H

#include "espalier/core/status.h"

#include <stdint.h>

enum { MOST_SLOTS = 2 };

/* One update of n parameters: slots are the optimiser's own arrays (n each). */
typedef struct optimizer_step {
  int64_t n, number; // parameters; step, from 1
  double rate, weight_decay, momentum, beta2;
  const float *gradient;
  float *parameters;
  float *slots[MOST_SLOTS];
} optimizer_step;

typedef struct optimizer {
  const char *name;
  int n_slots;
  int second_moment; // the slot of the gradient's mean square; -1: it has none
  void (*apply)(const optimizer_step *step);
} optimizer;

extern const optimizer optimizer_adamw, optimizer_sgd;
esp_status optimizer_find(const char *name, const optimizer **found);

#endif
