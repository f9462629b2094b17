/* Two streams of hidden states through the calibration samples, the dense model's and that of the
 * model as cut and repaired so far, and fits of linear maps to what one should get from the other.
 */
#ifndef ESPALIER_SRC_SURGERY_STREAMS_H
#define ESPALIER_SRC_SURGERY_STREAMS_H

#include "surgery_internal.h"

#include "espalier/flow/stream.h"

enum { STREAM_OUTPUTS = 4096 }; // of a map, fitted at a time

typedef struct streams {
  esp_repair_job *job;
  esp_stream dense, pruned; // of this rank's micro-batches; they share their scratch memory
  float *x_dense, *x;       // (rows, widest) scratch
  float *target;            // (rows, n_out) scratch
  float *weight;            // (rows) of each row in the fit
  float *kept;              // (micro-batches, rows, F) of the pruned stage at hand, or NULL
} streams;

/* Allocate both streams and embed all samples. NUMERIC. Collective. */
esp_status streams_open(streams *self, esp_repair_job *job);
/* Free both. Local. */
void streams_close_local(streams *self);

/* A linear map y = W x + b to be fitted. */
typedef struct stream_fit stream_fit;
struct stream_fit {
  int stage;
  int64_t n_in, n_out;
  float *weights;                  // (n_out, n_in): the start, then the fit
  float *bias;                     // (n_out) or NULL: without a bias
  const float *dense, *dense_bias; // of a reader: (n_out, D), (n_out)
  /* Leave x (rows, n_in), target (rows, n_out) and weight of this rank's micro-batch i in the
   * streams' scratch, without padding. Called once a micro-batch, in order. NUMERIC. Local. */
  esp_status (*form)(streams *self, const stream_fit *fit, int64_t i, int64_t *rows);
};
/* Make room for all x of a pruned stage, whose consumer is to be fitted; note the one that is in
 * the scratch; once the consumer is, take the pruned stream on by them, and free them. Local. */
void streams_make_room_local(streams *self, int stage);
void streams_note_local(streams *self, int stage, int64_t i);
void streams_advance_pruned_local(streams *self, int stage);

/* Drop padding from the scratch; returns the rows that are left. Local. */
int64_t streams_drop_padding_local(streams *self, const esp_batch *batch, const stream_fit *fit);

/* Weigh the scratch's rows by the state (rows, state_out) that a dense stage leaves. Local. */
void streams_weigh_rows_local(streams *self, const esp_stage *dense, const float *state,
                              int64_t rows, const stream_fit *fit);

/* Fit by a correction whose ridge and step do best on every eighth micro-batch, held out.
 * Collective. */
esp_status streams_fit(streams *self, const stream_fit *fit, esp_repair_fit *chosen);

/* Refit what reads the stream for a stage (n_stages: the head), whose weights are loaded, to what
 * the dense model's gives for the dense stream. Tied heads are left alone. Collective. */
esp_status readers_fit(streams *self, int stage);
/* The same for all stages with the dense stream itself, less the dimensions removed, as the pruned
 * one's. Collective. */
esp_status readers_fit_all(esp_repair_job *job);
/* Fit every writer of the stream that stays, whole layers having gone. Collective. */
esp_status layers_repair(esp_repair_job *job, const int64_t *kept);

#endif
