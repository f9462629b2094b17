/* Forward and backward pass of a micro-batch. Local; the same bits at any thread count, since all
 * products have fixed tiles and a micro-batch is the unit of work. */
#ifndef ESPALIER_MODEL_FORWARD_H
#define ESPALIER_MODEL_FORWARD_H

#include "espalier/core/c_linkage.h"
#include "espalier/model/family.h"

ESP_C_BEGIN

/* y (rows, outputs) = x W^T + b, or y += when add. */
void esp_linear_forward(const esp_model *model, const esp_linear *linear, int64_t rows,
                        const float *x, float *y, bool add);
/* Gradients of W and b are added to; all functions here take NULL for the gradients of none. */
void esp_linear_add_gradients(const esp_linear *linear, int64_t rows, const float *x,
                              const float *dy, float *const *gradients);
/* dx (rows, inputs) = dy W, or dx += when add. */
void esp_linear_compute_dx(const esp_model *model, const esp_linear *linear, int64_t rows,
                           const float *dy, float *dx, bool add);

/* MISMATCH unless the model can read the data: kind, width or context, token ids. Local. */
esp_status esp_model_check_data(const esp_model *model, const esp_dataset *data);
/* MISMATCH unless there are labels and all are classes of the model. Local. */
esp_status esp_model_check_labels(const esp_model *model, const esp_dataset *data);

/* Rows of a batch. */
int64_t esp_batch_count_rows(const esp_batch *batch);

/* Move the rows of x (rows, width) that are not padding to the front, in place; returns how many.
 */
int64_t esp_batch_compact(const esp_batch *batch, int64_t width, float *x);

/* Apply a stage's consumer: state (rows, state_out) from x (rows, F), in place; then what the
 * family has follow it. */
void esp_stage_consume(const esp_model *model, int stage, int64_t rows, const float *x,
                       float *state);
void esp_stage_finish(const esp_model *model, int stage, const esp_batch *batch, float *state);

/* Backward of the two: from the gradient of the state after a stage to that of its consumer's
 * result y (state_out), then to that of the state before it, in place. */
void esp_stage_finish_backward(const esp_stage_backward *self, float *dstate);
void esp_stage_consume_backward(const esp_stage_backward *self, float *dstate);

/* Rows of the logits: samples for ESP_TASK_CLASSIFY, else rows of the batch. */
int64_t esp_batch_count_outputs(const esp_model *model, const esp_batch *batch);

/* Buffers of one micro-batch for a whole pass. Caller's struct. */
typedef struct esp_pass {
  int64_t rows;
  float *state;  // (rows, max_state)
  float *x;      // (rows, max_features)
  float *logits; // (rows, n_outputs)
} esp_pass;
void esp_pass_init(esp_pass *self, const esp_model *model, int64_t rows);
void esp_pass_clear(esp_pass *self);

/* Run a whole model, all weights loaded, into self->logits. */
void esp_forward(const esp_model *model, const esp_batch *batch, esp_pass *self);

/* All activations of one micro-batch, for the backward pass. Caller's struct. */
typedef struct esp_tape {
  int64_t rows;
  float **state; // (n_stages + 1): before each stage, and before the head
  float **x;     // (n_stages)
  float *logits, *dlogits, *dstate;
} esp_tape;
void esp_tape_init(esp_tape *self, const esp_model *model, int64_t rows);
void esp_tape_clear(esp_tape *self, const esp_model *model);

void esp_tape_forward(const esp_model *model, const esp_batch *batch, esp_tape *self);
/* Add the gradients of sum(dlogits . logits) to gradients (n_weights); dlogits is set by the
 * caller, dstate is left with the gradient of the embedding's result. */
void esp_tape_backward(const esp_model *model, const esp_batch *batch, esp_tape *self,
                       float *const *gradients);

/* Summed cross-entropy, nats, of rows of logits under labels; dlogits, if not NULL, gets its
 * gradient. */
double esp_softmax_loss(const float *logits, const int32_t *labels, int64_t rows, int64_t classes,
                        float *dlogits);
/* Count rows whose largest logit (lowest index on ties) is the label's. */
int64_t esp_count_correct(const float *logits, const int32_t *labels, int64_t rows,
                          int64_t classes);

ESP_C_END

#endif
