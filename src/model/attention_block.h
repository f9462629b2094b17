/* One block of queries of one head: what attention and its gradient work on. */
#ifndef ESPALIER_SRC_MODEL_ATTENTION_BLOCK_H
#define ESPALIER_SRC_MODEL_ATTENTION_BLOCK_H

#include "ops.h"

enum { QUERY_BLOCK = 64 };

typedef struct query_block {
  const op_attention_job *job;
  int64_t sequence, head;
  int64_t begin, count; // queries
  int64_t first, keys;  // that some query of the block sees
  int64_t valid;        // keys of the sequence
} query_block;

/* Blocks are numbered by sequence, then head, then query. */
query_block query_block_find(const op_attention_job *job, int64_t index, int64_t blocks);
/* Softmax of the scaled scores: (count, keys). */
void query_block_compute_weights(const query_block *self, float *weights);
/* Their products with the values, to the job's out. */
void query_block_mix_values(const query_block *self, const float *weights);

#endif
