/* The flow of synaptic saliency through a perceptron [Tanaka et al. 2020]: R is the sum of outputs
 * where the input is all ones, weights are replaced by their moduli, and biases and activations are
 * left out. What flows through a weight is |w| dR/d|w|; all of a layer's together are R. */
#ifndef ESPALIER_SRC_TRAIN_SYNAPTIC_FLOW_H
#define ESPALIER_SRC_TRAIN_SYNAPTIC_FLOW_H

#include "parts.h"

/* Caller's struct. Vectors are scaled by powers of two, so that no depth overflows. */
typedef struct synaptic_flow {
  const esp_model *model; // borrowed
  int n_layers, *weights; // (n_layers) the matrix of each, outputs by inputs
  double **in, **out;     // (n_layers + 1) what reaches a unit; what of it reaches the outputs
  int *in_exponents, *out_exponents; // (n_layers + 1) of the scale of each
  double total;                      // R, scaled as in[n_layers]; 0: no path is left
} synaptic_flow;

/* USAGE: the model is no perceptron. Local. */
esp_status synaptic_flow_check_local(const esp_model *model);

/* From the values of the model, which are loaded. Local. */
void synaptic_flow_init(synaptic_flow *self, const esp_model *model);
void synaptic_flow_clear(synaptic_flow *self);

/* Layer whose matrix a weight is; -1: it is none. Local. */
int synaptic_flow_find_layer(const synaptic_flow *self, int weight);
/* What flows through a value of a layer's matrix, and through one of its inputs, in parts of R.
 * Local. */
double synaptic_flow_of_weight(const synaptic_flow *self, int layer, int64_t value);
double synaptic_flow_of_input(const synaptic_flow *self, int layer, int64_t input);

#endif
