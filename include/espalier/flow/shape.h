/* The samples that a job reads, as they would be dealt to so many ranks: sizes alone, for costs. */
#ifndef ESPALIER_FLOW_SHAPE_H
#define ESPALIER_FLOW_SHAPE_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/shard.h"

ESP_C_BEGIN

/* Caller's struct; members are read-only outside shape.c. */
typedef struct esp_shard_shape {
  int ranks;
  int64_t samples, n_batches, batch_rows; // batch_rows: of a full micro-batch
  int64_t tokens;                         // rows of a sample; 1: images
  int64_t rows;                           // S, that are not padding
  int64_t share;                          // micro-batches of rank 0, which has the most
  int64_t *valid;                         // (n_batches): rows of each that are not padding; owned
  double read_bytes;                      // of the data set, which rank 0 reads
  double held_bytes;                      // on every rank: the same, its order, a micro-batch
} esp_shard_shape;

/* Measure an open shard for so many ranks; neither samples nor the shard's own ranks are read.
 * Local. */
void esp_shard_shape_init(esp_shard_shape *self, const esp_shard *shard, int ranks);
void esp_shard_shape_clear(esp_shard_shape *self);

/* Micro-batches of a rank. Local. */
int64_t esp_shard_shape_count(const esp_shard_shape *self, int rank);
/* How many micro-batches so many rows take, one at least and all at most; the rows of n that are
 * spread evenly over all. Local. */
int64_t esp_shard_shape_count_batches(const esp_shard_shape *self, int64_t rows);
int64_t esp_shard_shape_count_spread(const esp_shard_shape *self, int64_t n);
/* Bytes of rank 0's states, so many floats a row. Local. */
double esp_shard_shape_state_bytes(const esp_shard_shape *self, double floats);

ESP_C_END

#endif
