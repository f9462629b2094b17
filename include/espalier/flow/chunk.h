/* Forward passes with one stage's weights in memory: the micro-batches of a chunk advance stage by
 * stage to the head. Their states are held, and the logits of one of them at a time. All functions
 * are local. */
#ifndef ESPALIER_FLOW_CHUNK_H
#define ESPALIER_FLOW_CHUNK_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/stream.h"

ESP_C_BEGIN

/* Bytes of hidden states a rank, one micro-batch at least. Fewer mean more loading of weights, and
 * the same bits. */
#define ESP_CHUNK_STATE_BYTES 256000000

/* Micro-batches of a shard that advance together, at most: their states through all of some models
 * (n), each with a stream of its own, take no more than state_bytes (0: ESP_CHUNK_STATE_BYTES); one
 * at least. */
int64_t esp_chunk_choose(const esp_shard *shard, const esp_model *const *models, int n,
                         int64_t state_bytes);

/* Micro-batches of a shard at the head of a model. Caller's struct; members are read-only outside
 * chunk.c. */
typedef struct esp_chunk {
  esp_stream stream;
  float *logits; // (rows, n_outputs) of the one that was read last; NULL: the chunk is empty
} esp_chunk;

/* Take `most` of this rank's micro-batches from its `begin`-th on (fewer at the end, or none) to
 * the head, and load it. NUMERIC: a weight is not finite. */
esp_status esp_chunk_open(esp_chunk *self, esp_model *model, esp_shard *shard, int64_t begin,
                          int64_t most);
/* Compute micro-batch k's logits into self->logits; its batch is valid until the shard reads the
 * next. */
esp_batch esp_chunk_read(esp_chunk *self, int64_t k);
/* Unload and free. */
void esp_chunk_close(esp_chunk *self);

ESP_C_END

#endif
