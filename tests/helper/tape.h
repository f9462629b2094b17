/* All activations of one micro-batch through a whole model, for the backward pass: the plainest
 * way, for tests of what the engine does stage by stage. All weights are loaded. */
#ifndef ESPALIER_TESTS_TAPE_H
#define ESPALIER_TESTS_TAPE_H

#include "espalier/core/memory.h"
#include "espalier/model/forward.h"

#include <string.h>

/* Caller's struct. */
typedef struct esp_tape {
  int64_t rows;
  float **state; // (n_stages + 1): before each stage, and before the head
  float **x;     // (n_stages)
  float *logits, *dlogits, *dstate;
  esp_workspace workspace;
} esp_tape;

static inline void esp_tape_init(esp_tape *self, const esp_model *model, int64_t rows) {
  *self = (esp_tape){.rows = rows,
                     .state = ESP_NEW(float *, model->n_stages + 1),
                     .x = ESP_NEW(float *, model->n_stages),
                     .logits = ESP_NEW(float, rows * model->n_outputs),
                     .dlogits = ESP_NEW(float, rows * model->n_outputs),
                     .dstate = ESP_NEW(float, rows * model->max_state)};
  for (int i = 0; i <= model->n_stages; i++)
    self->state[i] = ESP_NEW(float, rows * model->max_state);
  for (int i = 0; i < model->n_stages; i++)
    self->x[i] = ESP_NEW(float, rows *esp_stage_features(&model->stages[i]));
}

static inline void esp_tape_clear(esp_tape *self, const esp_model *model) {
  for (int i = 0; self->state && i <= model->n_stages; i++) esp_free(&self->state[i]);
  for (int i = 0; self->x && i < model->n_stages; i++) esp_free(&self->x[i]);
  esp_free(&self->state);
  esp_free(&self->x);
  esp_free(&self->logits);
  esp_free(&self->dlogits);
  esp_free(&self->dstate);
  esp_workspace_clear(&self->workspace);
}

static inline void esp_tape_forward(const esp_model *model, const esp_batch *batch,
                                    esp_tape *self) {
  esp_call call = {
      .model = model, .stage = ESP_STAGE_EMBED, .batch = *batch, .workspace = &self->workspace};
  const int64_t rows = esp_call_count_rows(&call);
  ESP_ASSERT(rows <= self->rows);
  esp_call_embed(&call, self->state[0]);
  for (call.stage = 0; call.stage < model->n_stages; call.stage++) {
    const int i = call.stage;
    const esp_stage *stage = &model->stages[i];
    esp_call_produce(&call, self->state[i], self->x[i]);
    if (stage->is_residual)
      memcpy(self->state[i + 1], self->state[i], (size_t)(rows * stage->state_in) * sizeof(float));
    esp_call_consume(&call, self->x[i], self->state[i + 1]);
    esp_call_finish(&call, self->state[i + 1]);
  }
  esp_call_head(&call, self->state[model->n_stages], self->logits);
}

static inline void esp_tape_backward(const esp_model *model, const esp_batch *batch, esp_tape *self,
                                     float *const *gradients) {
  const esp_call call = {
      .model = model, .stage = model->n_stages, .batch = *batch, .workspace = &self->workspace};
  esp_backward backward = {
      .call = call, .state = self->state[model->n_stages], .gradients = gradients};
  esp_backward_head(&backward, self->dlogits, self->dstate);
  for (int i = model->n_stages - 1; i >= 0; i--) {
    backward.call.stage = i;
    backward.state = self->state[i];
    backward.x = self->x[i];
    esp_backward_finish(&backward, self->dstate);
    esp_backward_consume(&backward, self->dstate);
  }
  backward.call.stage = ESP_STAGE_EMBED;
  esp_backward_embed(&backward, self->dstate);
}

#endif
