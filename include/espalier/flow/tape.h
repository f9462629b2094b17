/* All activations of one micro-batch through a whole model, for the backward pass of who has room
 * for them: a stream keeps the states alone (flow/stream.h). All weights are loaded. Local. */
#ifndef ESPALIER_FLOW_TAPE_H
#define ESPALIER_FLOW_TAPE_H

#include "espalier/core/c_linkage.h"
#include "espalier/model/forward.h"

ESP_C_BEGIN

/* Caller's struct. */
typedef struct esp_tape {
  int64_t rows;
  float **state; // (n_stages + 1): before each stage, and before the head
  float **x;     // (n_stages)
  float *logits, *dlogits, *dstate;
  esp_workspace workspace;
} esp_tape;
void esp_tape_init(esp_tape *self, const esp_model *model, int64_t rows);
void esp_tape_clear(esp_tape *self, const esp_model *model);

void esp_tape_forward(const esp_model *model, const esp_batch *batch, esp_tape *self);
/* Add the gradients of sum(dlogits . logits) to gradients (n_weights), or to none; dlogits is set
 * by the caller, dstate is left with the gradient of the embedding's result. */
void esp_tape_backward(const esp_model *model, const esp_batch *batch, esp_tape *self,
                       float *const *gradients);

ESP_C_END

#endif
