/* What the files of the calibration pass share. */
#ifndef ESPALIER_SRC_COLLECT_COLLECT_H
#define ESPALIER_SRC_COLLECT_COLLECT_H

#include "espalier/collect/collect.h"
#include "espalier/linalg/exact.h"

/* A pass under way: hidden states of this rank's micro-batches, one row of floats a sample. */
typedef struct collect_pass {
  const esp_comm *comm;
  esp_model *model;
  esp_shard *shard;
  const esp_collect_options *options;
  esp_stats *stats;
  int64_t batch_rows; // rows of a full micro-batch
  float **states;     // (shard->count): (batch_rows, max_state) each
  float *x;           // (batch_rows, widest site) scratch
  float *logits;      // (batch_rows, n_outputs) scratch
  int64_t *units;     // (n_units): logits that are measured
  int64_t n_units;
} collect_pass;

/* Gives (rows, F) activations of this rank's i-th micro-batch in pass->x, and the rows, without padding.
 * NUMERIC. Local. */
typedef esp_status (*collect_source)(collect_pass *pass, int stage, int64_t i, int64_t *rows);

/* How many logits are measured, and which: fills units. Collective. */
int64_t collect_count_logits(const esp_model *model, const esp_collect_options *options);
esp_status collect_choose_logits(collect_pass *pass);
/* The source of the logits' site. */
esp_status collect_produce_logits(collect_pass *pass, int stage, int64_t i, int64_t *rows);

/* NUMERIC, naming the site, unless all of x (rows, features) is finite. Local. */
esp_status collect_check_finite(const char *site, const float *x, int64_t rows, int64_t features);

/* Compute edges and root mean squares of F features from the pilot micro-batches: spread evenly over all,
 * so the same at any rank count. Collective. */
esp_status collect_pilot(collect_pass *pass, collect_source source, int stage,
                         esp_site_stats *site, double *rms);

#endif
