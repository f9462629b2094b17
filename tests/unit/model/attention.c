#include "floats.h"
#include "unit.h"

#include "ops.h"
#include "rope.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static rope make_rope(int64_t head_size) {
  rope self;
  json_t *config = json_object();
  assert_int_equal(rope_read(config, head_size, 128, &self), ESP_OK);
  json_decref(config);
  return self;
}

/* Attention jobs with data of their own: q, then k and v side by side as in a fused projection. */
typedef struct sample {
  op_attention_job job;
  float *q, *kv, *out;
} sample;

static esp_workspace scratch;

static void run(op_attention_job *job) {
  job->workspace = &scratch;
  op_attention(job);
  esp_workspace_clear(&scratch);
}

static sample sample_new(op_attention_job job) {
  const int64_t rows = job.count * job.length, n = job.heads * job.head_size;
  const int64_t n_kv = job.kv_heads * job.head_size;
  sample self = {.job = job,
                 .q = random_floats(rows * n, 7),
                 .kv = random_floats(rows * 2 * n_kv, 8),
                 .out = ESP_NEW(float, rows *n)};
  self.job.scale = 0.7f;
  self.job.q = self.q;
  self.job.q_stride = n;
  self.job.k = self.kv;
  self.job.v = self.kv + n_kv;
  self.job.kv_stride = 2 * n_kv;
  self.job.out = self.out;
  return self;
}

static void sample_free(sample *self) {
  esp_free(&self->q);
  esp_free(&self->kv);
  esp_free(&self->out);
}

static bool is_seen(const op_attention_job *job, int64_t t, int64_t s) {
  if (job->is_causal) return s <= t && (job->window == 0 || s > t - job->window);
  return job->window == 0 || (s <= t + job->window && s >= t - job->window);
}

/* One query of one head, in double. */
static void naive_query(const op_attention_job *job, int64_t row, int64_t head, double *out) {
  const int64_t size = job->head_size, sequence = row / job->length;
  const int64_t valid = job->lengths ? job->lengths[sequence] : job->length;
  const int64_t from = head / (job->heads / job->kv_heads) * size;
  const float *q = job->q + row * job->q_stride + head * size;
  double total = 0.0;
  for (int64_t i = 0; i < size; i++) out[i] = 0.0;
  for (int64_t s = 0; s < valid; s++) {
    if (!is_seen(job, row % job->length, s)) continue;
    const int64_t at = (sequence * job->length + s) * job->kv_stride + from;
    double score = 0.0;
    for (int64_t i = 0; i < size; i++) score += (double)q[i] * (double)job->k[at + i];
    const double weight = exp((double)job->scale * score);
    total += weight;
    for (int64_t i = 0; i < size; i++) out[i] += weight * (double)job->v[at + i];
  }
  for (int64_t i = 0; i < size && total > 0.0; i++) out[i] /= total;
}

static double *naive_attention(const op_attention_job *job) {
  double *out = ESP_NEW(double, job->count * job->length * job->heads * job->head_size);
  for (int64_t row = 0; row < job->count * job->length; row++)
    for (int64_t head = 0; head < job->heads; head++)
      naive_query(job, row, head, out + (row * job->heads + head) * job->head_size);
  return out;
}

static void assert_attention(op_attention_job job) {
  sample self = sample_new(job);
  double *expected = naive_attention(&self.job);
  run(&self.job);
  const int64_t n = job.count * job.length * job.heads * job.head_size;
  assert_true(largest_difference(self.out, expected, n) < 3e-6);
  esp_free(&expected);
  sample_free(&self);
}

/* Two tokens, one head of size 1, values 1 and 3. */
static void attend_two(const float q[2], const float k[2], bool is_causal, float out[2]) {
  const float v[2] = {1.0f, 3.0f};
  run(&(op_attention_job){.count = 1,
                          .length = 2,
                          .heads = 1,
                          .kv_heads = 1,
                          .head_size = 1,
                          .is_causal = is_causal,
                          .scale = 1.0f,
                          .q = q,
                          .k = k,
                          .v = v,
                          .q_stride = 1,
                          .kv_stride = 1,
                          .out = out});
}

static void attention_gives_an_example_by_hand(void **state) {
  (void)state;
  const float q[2] = {0.0f, 1.0f}, k[2] = {5.0f, 5.0f};
  float out[2];
  attend_two(q, k, true, out);
  assert_float_equal(out[0], 1.0f, 1e-7f); // sees itself alone
  assert_float_equal(out[1], 2.0f, 1e-6f); // equal scores: the mean
}

static void attention_matches_naive_loops(void **state) {
  (void)state;
  static const int64_t lengths[] = {1, 3, 64, 65, 131};
  for (unsigned i = 0; i < ESP_COUNT(lengths); i++)
    for (int causal = 0; causal < 2; causal++) {
      const op_attention_job job = {.count = 2,
                                    .length = lengths[i],
                                    .heads = 3,
                                    .kv_heads = 3,
                                    .head_size = 5,
                                    .is_causal = causal};
      assert_attention(job);
    }
}

static void attention_shares_keys_within_groups(void **state) {
  (void)state;
  assert_attention((op_attention_job){
      .count = 1, .length = 19, .heads = 6, .kv_heads = 2, .head_size = 7, .is_causal = true});
  assert_attention((op_attention_job){
      .count = 2, .length = 70, .heads = 5, .kv_heads = 1, .head_size = 4, .is_causal = false});
}

static void attention_masks_padding(void **state) {
  (void)state;
  const int32_t lengths[4] = {67, 1, 40, 0};
  for (int causal = 0; causal < 2; causal++) {
    const op_attention_job job = {.count = 4,
                                  .length = 67,
                                  .heads = 2,
                                  .kv_heads = 1,
                                  .head_size = 6,
                                  .lengths = lengths,
                                  .is_causal = causal};
    assert_attention(job);
  }
}

/* Windows within a block of 64 queries, of its size, and over several. */
static void attention_sees_a_window(void **state) {
  (void)state;
  static const int64_t windows[] = {1, 2, 31, 63, 64, 65, 100, 200};
  const int32_t lengths[3] = {190, 70, 1};
  for (unsigned i = 0; i < ESP_COUNT(windows); i++)
    for (int causal = 0; causal < 2; causal++)
      assert_attention((op_attention_job){.count = 3,
                                          .length = 190,
                                          .heads = 2,
                                          .kv_heads = 1,
                                          .head_size = 3,
                                          .lengths = i % 2 == 0 ? lengths : NULL,
                                          .is_causal = causal,
                                          .window = windows[i]});
}

static void attention_within_the_window_is_the_same_as_without(void **state) {
  (void)state;
  sample self = sample_new((op_attention_job){
      .count = 2, .length = 90, .heads = 2, .kv_heads = 1, .head_size = 4, .is_causal = true});
  float *plain = ESP_NEW(float, 2 * 90 * 8);
  run(&self.job);
  memcpy(plain, self.out, 2 * 90 * 8 * sizeof *plain);
  self.job.window = 90;
  run(&self.job);
  assert_memory_equal(plain, self.out, 2 * 90 * 8 * sizeof *plain);
  esp_free(&plain);
  sample_free(&self);
}

/* Keys before the window of the second block's first query, 64 - 9. */
static void attention_never_reads_before_a_blocks_window(void **state) {
  (void)state;
  sample self = sample_new((op_attention_job){.count = 1,
                                              .length = 80,
                                              .heads = 1,
                                              .kv_heads = 1,
                                              .head_size = 2,
                                              .is_causal = true,
                                              .window = 10});
  for (int64_t i = 0; i < 55 * 4; i++) self.kv[i] = NAN;
  double *expected = naive_attention(&self.job);
  run(&self.job);
  assert_true(largest_difference(self.out + 64 * 2, expected + 64 * 2, 16 * 2) < 3e-6);
  esp_free(&expected);
  sample_free(&self);
}

static void attention_never_reads_padding(void **state) {
  (void)state;
  const int32_t lengths[1] = {4};
  sample self = sample_new((op_attention_job){
      .count = 1, .length = 9, .heads = 2, .kv_heads = 2, .head_size = 3, .lengths = lengths});
  for (int64_t i = 4 * 12; i < 9 * 12; i++) self.kv[i] = NAN;
  double *expected = naive_attention(&self.job);
  run(&self.job);
  assert_true(largest_difference(self.out, expected, 9 * 6) < 3e-6);
  esp_free(&expected);
  sample_free(&self);
}

static void attention_may_overwrite_its_queries(void **state) {
  (void)state;
  sample self = sample_new((op_attention_job){
      .count = 2, .length = 77, .heads = 4, .kv_heads = 2, .head_size = 3, .is_causal = true});
  run(&self.job);
  self.job.out = self.q;
  run(&self.job);
  assert_memory_equal(self.q, self.out, (size_t)(2 * 77 * 12) * sizeof(float));
  sample_free(&self);
}

static void attention_survives_large_scores(void **state) {
  (void)state;
  const float q[2] = {1e4f, -1e4f}, k[2] = {1e4f, -1e4f};
  float out[2];
  attend_two(q, k, false, out);
  assert_float_equal(out[0], 1.0f, 1e-6f);
  assert_float_equal(out[1], 3.0f, 1e-6f);
}

static float *run_all(int threads, int64_t *bytes) {
  omp_set_num_threads(threads);
  sample self = sample_new((op_attention_job){
      .count = 3, .length = 97, .heads = 4, .kv_heads = 2, .head_size = 6, .is_causal = true});
  const rope angles = make_rope(6);
  float cosine[97 * 3], sine[97 * 3];
  rope_fill(&angles, 97, cosine, sine);
  op_rotate(3 * 97, 97, 4, 6, (const float *[2]){cosine, sine}, self.q);
  run(&self.job);
  op_rms_norm(3 * 97, 24, self.out, self.q, 1e-5, self.out);
  esp_free(&self.q);
  esp_free(&self.kv);
  *bytes = 3 * 97 * 24 * (int64_t)sizeof(float);
  return self.out;
}

static void operations_do_not_depend_on_threads(void **state) {
  (void)state;
  int64_t bytes;
  float *one = run_all(1, &bytes);
  for (int threads = 2; threads <= 3; threads++) {
    float *many = run_all(threads, &bytes);
    assert_memory_equal(one, many, (size_t)bytes);
    esp_free(&many);
  }
  esp_free(&one);
}

ESP_TEST_MAIN(cmocka_unit_test(attention_gives_an_example_by_hand),
              cmocka_unit_test(attention_matches_naive_loops),
              cmocka_unit_test(attention_shares_keys_within_groups),
              cmocka_unit_test(attention_masks_padding), cmocka_unit_test(attention_sees_a_window),
              cmocka_unit_test(attention_within_the_window_is_the_same_as_without),
              cmocka_unit_test(attention_never_reads_before_a_blocks_window),
              cmocka_unit_test(attention_never_reads_padding),
              cmocka_unit_test(attention_may_overwrite_its_queries),
              cmocka_unit_test(attention_survives_large_scores),
              cmocka_unit_test(operations_do_not_depend_on_threads))
