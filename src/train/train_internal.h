/* What the files of training share. */
#ifndef ESPALIER_SRC_TRAIN_TRAIN_INTERNAL_H
#define ESPALIER_SRC_TRAIN_TRAIN_INTERNAL_H

#include "espalier/flow/objective.h"
#include "espalier/flow/tape.h"
#include "espalier/train/train.h"

/* One update of n parameters: slots are the optimiser's own arrays (n each). */
typedef struct optimizer_step {
  int64_t n, number; // parameters; step, from 1
  double rate, weight_decay, momentum;
  const float *gradient;
  float *parameters;
  float *slots[2];
} optimizer_step;

/* An optimiser: one file, one row in optimizers.c. */
typedef struct optimizer {
  const char *name;
  int n_slots;
  void (*apply)(const optimizer_step *step);
} optimizer;

extern const optimizer optimizer_adamw, optimizer_sgd;
esp_status optimizer_find(const char *name, const optimizer **found);

/* Gradients of all weights: summed exactly over micro-batches and ranks. */
typedef struct gradients {
  int64_t n;     // parameters
  float *micro;  // (n) of one micro-batch
  float **parts; // (n_weights) into micro
  int64_t *sum;  // (n) fixed point
  float limit;   // magnitudes of a micro-batch from here on are refused
  float *mean;   // (n) after the reduction
} gradients;

/* n_micro_batches in a batch, at most. */
void gradients_init(gradients *self, const esp_model *model, int64_t n_micro_batches);
void gradients_clear(gradients *self);
void gradients_zero_micro(gradients *self);
/* Add micro to the sums; false: not finite, or beyond the limit. Local. */
bool gradients_add_local(gradients *self);
/* Mean over the batch's samples, equal on all ranks; the sums are zeroed. Collective. */
void gradients_reduce(const esp_comm *comm, gradients *self, int64_t samples);

/* A training under way: what a checkpoint holds. */
typedef struct training {
  const esp_comm *comm;
  esp_model *model;
  const esp_dataset *data;
  const esp_train_options *options;
  const optimizer *method;
  const esp_objective *objective;
  float **slots[2]; // (n_weights) arrays of the weights' sizes
  int64_t epoch;    // finished
  int64_t step;     // finished
  gradients gradient;
  esp_tape tape;
  esp_batch_buffer buffer;
} training;

esp_status checkpoint_save(const training *self);
/* Load if there is one: *found. Collective. */
esp_status checkpoint_load(training *self, bool *found);

#endif
