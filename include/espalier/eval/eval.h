/* Evaluation: quality over a data set, and speed of several models side by side. */
#ifndef ESPALIER_EVAL_EVAL_H
#define ESPALIER_EVAL_EVAL_H

#include "espalier/io/dataset.h"
#include "espalier/model/model.h"

typedef struct esp_quality {
  int64_t samples, correct;
  double loss_nats; // mean cross-entropy, summed in fixed point: the same at any rank count
} esp_quality;

/* Classify all samples, micro-batches dealt to the ranks; all weights loaded. MISMATCH: the data does not fit
 * the model; NUMERIC: a logit is not finite. Collective. */
esp_status esp_eval_quality(const esp_comm *comm, const esp_model *model, const esp_dataset *data,
                            esp_quality *quality);

typedef struct esp_speed_options {
  int64_t batch;   // samples a forward pass
  int64_t repeats; // timings a model; the median counts
} esp_speed_options;

/* Time forward passes of n models on rank 0 alone, alternately, while the others wait: samples_per_s (n),
 * on every rank. Collective. */
void esp_eval_speed(const esp_comm *comm, esp_model *const *models, int n, const esp_dataset *data,
                    const esp_speed_options *options, double *samples_per_s);

#endif
