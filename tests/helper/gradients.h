/* Arrays for the gradients of all weights of a model. */
#ifndef ESPALIER_TESTS_GRADIENTS_H
#define ESPALIER_TESTS_GRADIENTS_H

#include "espalier/core/memory.h"
#include "espalier/model/model.h"

static inline float **gradients_new(const esp_model *model) {
  float **gradients = ESP_NEW(float *, model->n_weights);
  for (int w = 0; w < model->n_weights; w++)
    gradients[w] = ESP_NEW(float, esp_weight_count(&model->weights[w]));
  return gradients;
}

static inline void gradients_free(const esp_model *model, float ***gradients) {
  for (int w = 0; w < model->n_weights; w++) esp_free(&(*gradients)[w]);
  esp_free(gradients);
}

#endif
