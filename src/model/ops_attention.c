/* Attention of one block of queries of one head at a time: S = scale Q K^T (block, keys), softmax
 * by row, out = P V. Scratch is (QUERY_BLOCK, T) a thread, and a block reads only the keys from the
 * first that its first query sees to the last that its last one sees. */
#include "attention_block.h"

#include "espalier/core/clones.h"
#include "espalier/core/elementary.h"
#include "espalier/linalg/gemm.h"

#include <math.h>
#include <omp.h>

enum { LANES = 8 };

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Keys from begin to end, which is not among them. */
typedef struct key_range {
  int64_t begin, end;
} key_range;

/* What a query sees; both ends grow with it. */
static key_range find_seen(const query_block *self, int64_t query) {
  const int64_t window = self->job->window;
  const bool is_causal = self->job->is_causal;
  const int64_t back = window > 0 ? window - is_causal : query;
  const int64_t ahead = is_causal ? 0 : window > 0 ? window : self->valid;
  const int64_t end = smaller(self->valid, query + ahead + 1);
  return (key_range){smaller(larger(0, query - back), end), end};
}

static int64_t count_valid_keys(const op_attention_job *job, int64_t sequence) {
  return job->lengths ? smaller(job->lengths[sequence], job->length) : job->length;
}

query_block query_block_find(const op_attention_job *job, int64_t index, int64_t blocks) {
  query_block self = {.job = job,
                      .sequence = index / (blocks * job->heads),
                      .head = index / blocks % job->heads,
                      .begin = index % blocks * QUERY_BLOCK};
  self.count = smaller(QUERY_BLOCK, job->length - self.begin);
  self.valid = count_valid_keys(job, self.sequence);
  self.first = find_seen(&self, self.begin).begin;
  self.keys = find_seen(&self, self.begin + self.count - 1).end - self.first;
  return self;
}

ESP_CLONES static float find_largest(const float *x, int64_t n) {
  float most[LANES], largest = x[0];
  int64_t i = 0;
  for (int j = 0; j < LANES; j++) most[j] = x[0];
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) most[j] = x[i + j] > most[j] ? x[i + j] : most[j];
  for (; i < n; i++) largest = x[i] > largest ? x[i] : largest;
  for (int j = 0; j < LANES; j++) largest = most[j] > largest ? most[j] : largest;
  return largest;
}

ESP_CLONES static float sum(const float *x, int64_t n) {
  float sums[LANES] = {0.0f}, total = 0.0f;
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) sums[j] += x[i + j];
  for (; i < n; i++) total += x[i];
  for (int j = 0; j < LANES; j++) total += sums[j];
  return total;
}

/* e^(x - largest), in place. */
ESP_CLONES static void exponentiate(float *x, int64_t n, float largest) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) x[i] = esp_exp_fast(x[i] - largest);
}

ESP_CLONES static void scale(float *x, int64_t n, float factor) {
  for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

static void softmax(float *scores, int64_t n) {
  const float largest = find_largest(scores, n);
  exponentiate(scores, n, largest);
  scale(scores, n, 1.0f / sum(scores, n));
}

static const float *find_keys(const query_block *self, const float *keys_or_values) {
  const op_attention_job *job = self->job;
  const int64_t kv_head = self->head / (job->heads / job->kv_heads);
  const int64_t row = self->sequence * job->length + self->first;
  return keys_or_values + row * job->kv_stride + kv_head * job->head_size;
}

static void compute_scores(const query_block *self, float *scores) {
  const op_attention_job *job = self->job;
  const int64_t row = self->sequence * job->length + self->begin;
  esp_gemm_compute(&(esp_gemm){.transpose_b = true,
                               .m = self->count,
                               .n = self->keys,
                               .k = job->head_size,
                               .alpha = job->scale,
                               .a = job->q + row * job->q_stride + self->head * job->head_size,
                               .lda = job->q_stride,
                               .b = find_keys(self, job->k),
                               .ldb = job->kv_stride,
                               .c = scores,
                               .ldc = self->keys});
}

/* Softmax over what a query sees; the others become 0. */
static void compute_row(const query_block *self, int64_t query, float *scores) {
  const key_range seen = find_seen(self, query);
  for (int64_t j = 0; j < seen.begin - self->first; j++) scores[j] = 0.0f;
  if (seen.begin < seen.end) softmax(scores + seen.begin - self->first, seen.end - seen.begin);
  for (int64_t j = seen.end - self->first; j < self->keys; j++) scores[j] = 0.0f;
}

void query_block_compute_weights(const query_block *self, float *weights) {
  compute_scores(self, weights);
  for (int64_t i = 0; i < self->count; i++)
    compute_row(self, self->begin + i, weights + i * self->keys);
}

void query_block_mix_values(const query_block *self, const float *scores) {
  const op_attention_job *job = self->job;
  const int64_t row = self->sequence * job->length + self->begin;
  const int64_t stride = job->heads * job->head_size;
  esp_gemm_compute(&(esp_gemm){.m = self->count,
                               .n = job->head_size,
                               .k = self->keys,
                               .alpha = 1.0f,
                               .a = scores,
                               .lda = self->keys,
                               .b = find_keys(self, job->v),
                               .ldb = job->kv_stride,
                               .c = job->out + row * stride + self->head * job->head_size,
                               .ldc = stride});
}

void op_attention(const op_attention_job *job) {
  const int64_t blocks = (job->length + QUERY_BLOCK - 1) / QUERY_BLOCK;
  const int64_t n = job->count * job->heads * blocks, size = QUERY_BLOCK * job->length;
  const esp_workspace_mark mark = esp_workspace_set_mark(job->workspace);
  float *all = ESP_TAKE(job->workspace, float, omp_get_max_threads() * size);
#pragma omp parallel
  {
    float *scores = all + omp_get_thread_num() * size;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < n; i++) {
      const query_block block = query_block_find(job, i, blocks);
      query_block_compute_weights(&block, scores);
      query_block_mix_values(&block, scores);
    }
  }
  esp_workspace_release(job->workspace, mark);
}
