/* Which samples a rank works on: a choice of the data set, cut into micro-batches of fixed size,
 * dealt whole and in contiguous blocks to the ranks. Micro-batches are the unit of work and of
 * rounding, so that nothing depends on the dealing. Fewer micro-batches than ranks is legal. */
#ifndef ESPALIER_FLOW_SHARD_H
#define ESPALIER_FLOW_SHARD_H

#include "espalier/core/c_linkage.h"
#include "espalier/flow/masking.h"
#include "espalier/io/dataset.h"

ESP_C_BEGIN

/* Caller's struct; members are read-only outside shard.c. */
typedef struct esp_shard {
  const esp_dataset *data; // borrowed
  int64_t samples, micro_batch, n_batches;
  int64_t first, count;       // this rank's micro-batches
  int64_t begin;              // the first sample of all, or its place in the order
  int64_t *order;             // samples in their order, owned; NULL: the data's own
  int64_t n_order;            // places in it
  const esp_masking *masking; // borrowed, applied to what is read; NULL: nothing is masked
  esp_batch_buffer buffer;
} esp_shard;

typedef struct esp_shard_options {
  int64_t samples;     // 0: all
  int64_t micro_batch; // samples
  uint64_t seed;
} esp_shard_options;

/* Choose samples at random, the same on all ranks. More samples than there are mean all. Local. */
void esp_shard_init(esp_shard *self, const esp_comm *comm, const esp_dataset *data,
                    const esp_shard_options *options);

/* Samples [begin, begin + count) in the data's own order, all of them this rank's. Local. */
typedef struct esp_sample_range {
  int64_t begin, count;
} esp_sample_range;
void esp_shard_init_range(esp_shard *self, const esp_dataset *data, esp_sample_range range,
                          int64_t micro_batch);

/* Samples in an order of the caller's (n, copied), of which none is dealt yet; another order. Deal
 * a range of the order: its micro-batches are numbered from 0. Local. */
void esp_shard_init_order(esp_shard *self, const esp_dataset *data, const int64_t *order, int64_t n,
                          int64_t micro_batch);
void esp_shard_set_order(esp_shard *self, const int64_t *order);
void esp_shard_deal_local(const esp_comm *comm, esp_shard *self, esp_sample_range range);

void esp_shard_clear(esp_shard *self);

/* Read micro-batch i of all (not of this rank's) into the shard's buffer; valid until the next.
 * Local. */
void esp_shard_read(esp_shard *self, int64_t i, esp_batch *batch);
/* Samples of micro-batch i, and its rows that are not padding. Local. */
int64_t esp_shard_count_samples(const esp_shard *self, int64_t i);
int64_t esp_shard_count_valid(const esp_shard *self, int64_t i);
/* Rows of sample s of micro-batch i that are not padding. Local. */
int64_t esp_shard_count_valid_of(const esp_shard *self, int64_t i, int64_t s);
/* The i-th of n micro-batches that are spread evenly over all, whoever has them. Local. */
static inline int64_t esp_shard_pick(const esp_shard *self, int64_t i, int64_t n) {
  return i * self->n_batches / n;
}
/* Rows of a full micro-batch, padding included. Local. */
int64_t esp_shard_count_rows(const esp_shard *self);

ESP_C_END

#endif
