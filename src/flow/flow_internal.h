/* What the objectives share. */
#ifndef ESPALIER_SRC_FLOW_FLOW_INTERNAL_H
#define ESPALIER_SRC_FLOW_FLOW_INTERNAL_H

#include "espalier/flow/objective.h"

extern const esp_objective objective_classifier, objective_language, objective_masked,
    objective_cosine, objective_regression, objective_multi_label, objective_distillation;

/* A number that a sample is labelled with; a class counts as one. */
static inline double targets_get(const esp_batch *batch, int64_t sample, int64_t column) {
  return batch->targets ? (double)batch->targets[sample * batch->n_targets + column]
                        : (double)batch->labels[sample];
}

/* Summed cross-entropy, nats, of rows of logits under labels; dlogits, if not NULL, gets its
 * gradient, and may be logits. */
double cross_entropy_compute(const float *logits, const int32_t *labels, int64_t rows,
                             int64_t classes, float *dlogits);
/* Count rows whose largest logit (lowest index on ties) is the label's. */
int64_t cross_entropy_count_correct(const float *logits, const int32_t *labels, int64_t rows,
                                    int64_t classes);

/* Cross-entropy of all rows, under a label each. */
void cross_entropy_measure_rows(const esp_outputs *self, const int32_t *labels, esp_tally *tally);
/* Of the tokens of every sequence: row t under labels[t + shift], as far as the sequence goes.
 * labels (count, width). */
void cross_entropy_measure_tokens(const esp_outputs *self, const int32_t *labels, int64_t shift,
                                  esp_tally *tally);

/* Of the tokens that are masked, batch->hidden. */
void cross_entropy_measure_hidden(const esp_outputs *self, esp_tally *tally);
/* Zero the gradients of rows [begin, begin + n), if they are wanted. */
void objective_clear_rows(const esp_outputs *self, int64_t begin, int64_t n);

/* Add a part of the loss, nats, of some targets. */
void tally_add_loss(esp_tally *self, double loss, int64_t targets);

#endif
