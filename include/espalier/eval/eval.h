/* Evaluation: quality over a data set, and speed of several models side by side. */
#ifndef ESPALIER_EVAL_EVAL_H
#define ESPALIER_EVAL_EVAL_H

#include "espalier/core/c_linkage.h"
#include "espalier/core/options.h"
#include "espalier/io/dataset.h"
#include "espalier/model/model.h"

ESP_C_BEGIN

/* What a model makes of a data set, by its task: a classifier's samples against their labels; a
 * language model's next tokens (non-overlapping sequences, the first token of each is not
 * predicted); a masked model's tokens, none masked. Sums are in fixed point: the same at any rank
 * count. */
typedef struct esp_quality {
  int64_t samples; // images or sequences
  int64_t targets; // predictions: samples, or tokens
  int64_t correct; // of the targets
  double
      loss_nats; // mean cross-entropy a target; of encoders 1 - cosine; regression: squared error
  double cosine; // encoders: mean over samples, with the reference
  double r2;     // regression: 1 - squared error / variance of the labels; NAN: they are equal
  double f1;     // several labels a sample: micro-averaged; NAN: none is present or predicted
} esp_quality;

/* Weights are loaded stage by stage: a rank holds one stage's, and the hidden states of as many
 * micro-batches as the bound allows, which advance together (flow/chunk.h). */
typedef struct esp_eval_options {
  int64_t state_bytes;          // of hidden states a rank, one micro-batch at least; 0: that many
  bool speed;                   // time the models too
  bool prefill;                 // of a pass as generation begins with it
  int64_t speed_batch, repeats; // images or tokens a timed pass; timings a model
  char *logits;                 // file for the first model's outputs; NULL: none
  int64_t sequences;            // of them (or images); 0: all
  double at_most, at_least;     // the figure, by that of the first model; 0: any
} esp_eval_options;
extern const esp_option_group esp_eval_option_group;

/* Evaluate on all samples, micro-batches dealt to the ranks; options may be NULL. MISMATCH: the
 * data does not fit the model; NUMERIC: a weight or a logit is not finite. Collective on comm;
 * equal on all ranks: data, options. */
esp_status esp_eval_quality(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                            const esp_eval_options *options, esp_quality *quality);

/* Cosine between the embeddings of a reference, models[0], and of an encoder, models[1]: means of
 * the final states over the tokens of a sequence that are not padding. MISMATCH: other sizes;
 * NUMERIC. Collective on comm; equal on all ranks: data, options. */
esp_status esp_eval_cosine(const esp_comm *comm, esp_model *const models[2],
                           const esp_dataset *data, const esp_eval_options *options,
                           esp_quality *quality);

/* As --json has it: what a model is, from its report; its quality, added to that. Accuracy of
 * classifiers, perplexity of models of tokens, cosine of encoders. New references. Local. */
json_t *esp_eval_describe(const esp_model *model);
void esp_eval_set_quality(const esp_model *model, const esp_dataset *data,
                          const esp_quality *quality, json_t *row);

/* Write the outputs of the first n sequences (or images): /logits (n, T, V) or (n, classes), or
 * /embeddings (n, T, D) for encoders, float32. IO, MISMATCH, NUMERIC. Collective on comm; equal on
 * all ranks: data, n, options, path. */
esp_status esp_eval_write_logits(const esp_comm *comm, esp_model *model, const esp_dataset *data,
                                 int64_t n, const esp_eval_options *options, const char *path);

/* Samples of one forward pass in evaluations: 256 images, or about a thousand tokens. Local. */
int64_t esp_eval_batch(const esp_dataset *data);

typedef struct esp_speed_options {
  int64_t batch;   // images, or tokens (rounded to whole sequences), a forward pass
  int64_t repeats; // timings a model; the median counts
  bool prefill;    // logits of the last tokens alone
} esp_speed_options;

/* MISMATCH where a prefill is asked of a model that predicts no next token. Local. */
esp_status esp_eval_check_speed(const esp_model *model, const esp_speed_options *options);

/* Time forward passes of n models, all weights loaded on rank 0, on rank 0 alone, alternately,
 * while the others wait: images or tokens a second (n), on every rank. The options must have been
 * checked with every model. Collective on comm; equal on all ranks: n, data, options. */
void esp_eval_speed(const esp_comm *comm, esp_model *const *models, int n, const esp_dataset *data,
                    const esp_speed_options *options, double *rates);

ESP_C_END

#endif
