/* Forward passes with one stage's weights in memory: the micro-batches of a chunk advance stage by
 * stage. Their states are held, and the logits of one of them at a time. */
#ifndef ESPALIER_SRC_EVAL_EVAL_INTERNAL_H
#define ESPALIER_SRC_EVAL_EVAL_INTERNAL_H

#include "espalier/eval/eval.h"
#include "espalier/flow/objective.h"
#include "espalier/flow/stream.h"

/* Whole micro-batches of the data dealt to this rank. Local. */
esp_sample_range eval_deal_local(const esp_comm *comm, const esp_dataset *data);

/* A shard of these samples, in micro-batches of the size of evaluations. Local. */
void eval_shard_init(esp_shard *self, const esp_dataset *data, esp_sample_range samples);

/* Micro-batches that advance together, at most: their states through all of some models (n), each
 * with a stream of its own, take as many bytes as options (or NULL) allow; one at least. Local. */
int64_t eval_choose_chunk(const esp_shard *shard, const esp_model *const *models, int n,
                          const esp_eval_options *options);

/* The micro-batches [begin, begin + count) of a shard, at the head of a model. */
typedef struct eval_chunk {
  esp_stream stream;
  float *logits; // (rows, n_outputs) of the one that was read last
} eval_chunk;

/* Take the chunk of `most` micro-batches that begins at `begin` (fewer at the end, or none) to the
 * head, and load it. NUMERIC: a weight is not finite. Local. */
esp_status eval_chunk_open(eval_chunk *self, esp_model *model, esp_shard *shard, int64_t begin,
                           int64_t most);
/* Micro-batch k's logits into self->logits; its batch is valid until the next. Local. */
esp_batch eval_chunk_read(eval_chunk *self, int64_t k);
/* Unload and free. Local. */
void eval_chunk_close(eval_chunk *self);

#endif
