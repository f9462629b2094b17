/* Gradient of attention. With P = softmax(scale Q K^T) computed again, block by block:
 * dV += P^T dO, dP = dO V^T, dS = P (dP - rowsum(P dP)), dQ = scale dS K, dK += scale dS^T Q.
 * All query heads of one KV head of one sequence are one thread's, in order. */
#include "attention_block.h"

#include "espalier/linalg/gemm.h"

#include <omp.h>
#include <string.h>

/* Where a block's queries and keys begin. */
typedef struct place {
  int64_t q, out, kv;
} place;

static place find_place(const query_block *self) {
  const op_attention_job *job = self->job;
  const int64_t row = self->sequence * job->length + self->begin;
  const int64_t kv_head = self->head / (job->heads / job->kv_heads);
  return (place){
      .q = row * job->q_stride + self->head * job->head_size,
      .out = (row * job->heads + self->head) * job->head_size,
      .kv =
          (self->sequence * job->length + self->first) * job->kv_stride + kv_head * job->head_size,
  };
}

/* dKV (keys, head_size) += alpha A^T B, A (count, keys), B (count, head_size). */
static void add_to_keys(const query_block *self, const float *a, const float *b, int64_t ldb,
                        float alpha, float *keys) {
  esp_gemm_compute(&(esp_gemm){.transpose_a = true,
                               .m = self->keys,
                               .n = self->job->head_size,
                               .k = self->count,
                               .alpha = alpha,
                               .beta = 1.0f,
                               .a = a,
                               .lda = self->keys,
                               .b = b,
                               .ldb = ldb,
                               .c = keys,
                               .ldc = self->job->kv_stride});
}

static void compute_dweights(const query_block *self, const place *at, const float *dout,
                             float *dweights) {
  const op_attention_job *job = self->job;
  esp_gemm_compute(&(esp_gemm){.transpose_b = true,
                               .m = self->count,
                               .n = self->keys,
                               .k = job->head_size,
                               .alpha = 1.0f,
                               .a = dout + at->out,
                               .lda = job->heads * job->head_size,
                               .b = job->v + at->kv,
                               .ldb = job->kv_stride,
                               .c = dweights,
                               .ldc = self->keys});
}

static void softmax_backward(const query_block *self, const float *weights, float *dweights) {
  const int64_t n = self->keys;
  for (int64_t i = 0; i < self->count; i++) {
    const float *p = weights + i * n;
    float *d = dweights + i * n;
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += (double)p[j] * d[j];
    for (int64_t j = 0; j < n; j++) d[j] = p[j] * (d[j] - (float)sum);
  }
}

static void compute_dq(const query_block *self, const place *at, const float *dscores, float *dq) {
  const op_attention_job *job = self->job;
  esp_gemm_compute(&(esp_gemm){.m = self->count,
                               .n = job->head_size,
                               .k = self->keys,
                               .alpha = job->scale,
                               .a = dscores,
                               .lda = self->keys,
                               .b = job->k + at->kv,
                               .ldb = job->kv_stride,
                               .c = dq + at->q,
                               .ldc = job->q_stride});
}

/* scratch: (2, QUERY_BLOCK, T). */
static void attend_backward(const query_block *self, const op_attention_gradients *gradients,
                            float *scratch) {
  const op_attention_job *job = self->job;
  const place at = find_place(self);
  float *weights = scratch, *dweights = scratch + QUERY_BLOCK * job->length;
  query_block_compute_weights(self, weights);
  if (job->out) query_block_mix_values(self, weights);
  add_to_keys(self, weights, gradients->dout + at.out, job->heads * job->head_size, 1.0f,
              gradients->dv + at.kv);
  compute_dweights(self, &at, gradients->dout, dweights);
  softmax_backward(self, weights, dweights);
  compute_dq(self, &at, dweights, gradients->dq);
  add_to_keys(self, dweights, job->q + at.q, job->q_stride, job->scale, gradients->dk + at.kv);
}

static void clear_head(const op_attention_job *job, int64_t kv_head, int64_t sequence, float *x) {
  for (int64_t t = 0; t < job->length; t++)
    memset(x + (sequence * job->length + t) * job->kv_stride + kv_head * job->head_size, 0,
           (size_t)job->head_size * sizeof *x);
}

void op_attention_backward(const op_attention_job *job, const op_attention_gradients *gradients) {
  const int64_t blocks = (job->length + QUERY_BLOCK - 1) / QUERY_BLOCK;
  const int64_t per_group = job->heads / job->kv_heads * blocks;
  const int64_t size = 2 * QUERY_BLOCK * job->length;
  const esp_workspace_mark mark = esp_workspace_set_mark(job->workspace);
  float *all = ESP_TAKE(job->workspace, float, omp_get_max_threads() * size);
#pragma omp parallel
  {
    float *scratch = all + omp_get_thread_num() * size;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < job->count * job->kv_heads; i++) {
      clear_head(job, i % job->kv_heads, i / job->kv_heads, gradients->dk);
      clear_head(job, i % job->kv_heads, i / job->kv_heads, gradients->dv);
      for (int64_t j = 0; j < per_group; j++) {
        const query_block block = query_block_find(job, i * per_group + j, blocks);
        attend_backward(&block, gradients, scratch);
      }
    }
  }
  esp_workspace_release(job->workspace, mark);
}
