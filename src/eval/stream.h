/* Forward passes with one stage's weights in memory: micro-batches of a chunk advance stage by
 * stage. Their states are held, and the logits of one of them at a time. */
#ifndef ESPALIER_SRC_EVAL_STREAM_H
#define ESPALIER_SRC_EVAL_STREAM_H

#include "espalier/eval/eval.h"
#include "espalier/model/forward.h"

/* Members are read-only outside stream.c. */
typedef struct eval_stream {
  const esp_dataset *data;
  int64_t begin, count;    // samples of this rank
  int64_t size, n_batches; // samples a micro-batch; micro-batches of this rank
  int64_t chunk;           // micro-batches that advance together, at most
  int64_t rows;            // of a full micro-batch
  int64_t max_state, max_features, max_outputs;
  float *states; // (chunk, rows, max_state)
  float *x;      // (rows, max_features); while a chunk advances
  float *logits; // (rows, n_outputs); while its head is read
  esp_batch_buffer buffer;
} eval_stream;

/* For samples [begin, begin + count) and models (n), whose states take state_bytes at most (one
 * micro-batch at least). Local. */
typedef struct eval_samples {
  const esp_dataset *data;
  int64_t begin, count;
} eval_samples;
void eval_stream_init(eval_stream *self, const eval_samples *samples,
                      const esp_model *const *models, int n, int64_t state_bytes);
void eval_stream_clear(eval_stream *self);

/* Micro-batches of the chunk that begins at micro-batch i. Local. */
int64_t eval_stream_count(const eval_stream *self, int64_t i);
/* Take the chunk that begins at micro-batch i to the head, whose weights are left loaded. NUMERIC:
 * a weight is not finite. Local. */
esp_status eval_stream_advance_local(eval_stream *self, esp_model *model, int64_t i);
/* Put the logits of its k-th micro-batch into self->logits. Local. */
void eval_stream_read(eval_stream *self, const esp_model *model, int64_t i, int64_t k,
                      esp_batch *batch);
/* Unload the head. Local. */
void eval_stream_finish(eval_stream *self, esp_model *model);

/* The three of the chunk that begins at micro-batch i; visit gets the logits of one micro-batch
 * after the other. Local. */
typedef esp_status (*eval_visit)(void *context, const esp_batch *batch, const float *logits);
esp_status eval_stream_visit_local(eval_stream *self, esp_model *model, int64_t i, eval_visit visit,
                                   void *context);

/* Whole micro-batches of the data dealt to this rank, as samples. Local. */
eval_samples eval_deal_local(const esp_comm *comm, const esp_dataset *data);
/* The bound that options (or NULL) set. Local. */
int64_t eval_state_bytes(const esp_eval_options *options);

#endif
