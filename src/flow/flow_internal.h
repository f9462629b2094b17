/* What the objectives share. */
#ifndef ESPALIER_SRC_FLOW_FLOW_INTERNAL_H
#define ESPALIER_SRC_FLOW_FLOW_INTERNAL_H

#include "espalier/flow/objective.h"

extern const esp_objective objective_classifier, objective_language, objective_masked,
    objective_cosine, objective_regression, objective_multi_label, objective_distillation,
    objective_distilled_numbers, objective_distilled_labels;

/* A number that a sample is labelled with; a class counts as one. */
static inline double targets_get(const esp_batch *batch, int64_t sample, int64_t column) {
  return batch->targets ? (double)batch->targets[sample * batch->n_targets + column]
                        : (double)batch->labels[sample];
}

/* The unit of a loss of squared errors: a power of two near the variance of the labels, 1 without
 * any; where all are one number, near its square. */
double targets_find_unit(const esp_dataset *data);

/* Of a label whose logit is z: its probability; -log p of its being there to a part of `target`;
 * count whether it is predicted, above 0, and there, from a half. */
double label_compute_probability(double z);
double label_compute_loss(double z, double target);
void label_count(double z, double target, esp_tally *tally);

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
