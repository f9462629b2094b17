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
/* Gradients of W and b are added to; all functions here take NULL for the gradients of none, and a
 * NULL among gradients (n_weights) for a weight that does not train. */
void esp_linear_add_gradients(const esp_linear *linear, int64_t rows, const float *x,
                              const float *dy, float *const *gradients);
/* dx (rows, inputs) = dy W, or dx += when add. */
void esp_linear_compute_dx(const esp_model *model, const esp_linear *linear, int64_t rows,
                           const float *dy, float *dx, bool add);

/* MISMATCH unless the model can read the data: kind, width or context, token ids. Local. */
esp_status esp_model_check_data(const esp_model *model, const esp_dataset *data);
/* MISMATCH unless there are labels and all are classes of the model, which has two or more. Local.
 */
esp_status esp_model_check_labels(const esp_model *model, const esp_dataset *data);
/* MISMATCH unless there are as many numbers a sample as the model has outputs. Local. */
esp_status esp_model_check_targets(const esp_model *model, const esp_dataset *data);
/* Whether outputs are one row a sample, whatever its length. Local. */
bool esp_model_is_by_sample(const esp_model *model);
/* MISMATCH unless a language model has something to predict: a sequence of two tokens. Local. */
esp_status esp_model_check_next_tokens(const esp_model *model, const esp_dataset *data);
/* Whether the data has any targets of the model's task: labels of one class among several, tokens
 * behind the first. Local. */
bool esp_model_has_targets(const esp_model *model, const esp_dataset *data);

/* Rows of a batch. */
int64_t esp_batch_count_rows(const esp_batch *batch);

/* Move the rows of x (rows, width) that are not padding to the front, in place; returns how many.
 */
int64_t esp_batch_compact(const esp_batch *batch, int64_t width, float *x);

static inline int64_t esp_call_count_rows(const esp_call *call) {
  return esp_batch_count_rows(&call->batch);
}

/* The family's functions, scratch released. Consume applies a stage's consumer: state (rows,
 * state_out) from x (rows, F), in place; finish is what the family has follow it. Read: where there
 * is a residual stream. Of the embedding's, a stage's or the head's call. */
void esp_call_embed(const esp_call *call, float *state);
void esp_call_produce(const esp_call *call, const float *state, float *x);
void esp_call_read(const esp_call *call, const float *state, float *normed);
void esp_call_consume(const esp_call *call, const float *x, float *state);
void esp_call_finish(const esp_call *call, float *state);
void esp_call_head(const esp_call *call, const float *state, float *logits);

/* Backward of the head, and of a stage in two steps, in place: from the gradient of the state after
 * a stage to that of its consumer's result y (state_out), then to that of the state before it. Then
 * of the embedding. */
void esp_backward_head(const esp_backward *self, const float *dlogits, float *dstate);
void esp_backward_finish(const esp_backward *self, float *dstate);
void esp_backward_consume(const esp_backward *self, float *dstate);
void esp_backward_embed(const esp_backward *self, const float *dstate);

/* Rows of the logits: samples for classifiers and regression, else rows of the batch. */
int64_t esp_batch_count_outputs(const esp_model *model, const esp_batch *batch);

/* Buffers of one micro-batch for a whole pass. Caller's struct. */
typedef struct esp_pass {
  int64_t rows;
  float *state;  // (rows, max_state)
  float *x;      // (rows, max_features)
  float *logits; // (rows, n_outputs)
  esp_workspace workspace;
} esp_pass;
void esp_pass_init(esp_pass *self, const esp_model *model, int64_t rows);
void esp_pass_clear(esp_pass *self);

/* Run a whole model, all weights loaded, into self->logits. */
void esp_forward(const esp_model *model, const esp_batch *batch, esp_pass *self);
/* Likewise of a language model, with the logits of the last token of every sequence alone (samples,
 * n_outputs): the pass that generation begins with. */
void esp_forward_prefill(const esp_model *model, const esp_batch *batch, esp_pass *self);

ESP_C_END

#endif
