/* Gradients of operations against central differences in double precision. */
#include "unit.h"

#include "ops.h"

#include <math.h>
#include <omp.h>

static esp_workspace scratch;

static float *random_floats(int64_t n, uint64_t stream) {
  float *values = ESP_NEW(float, n);
  for (int64_t i = 0; i < n; i++) values[i] = (float)esp_rng_normal(5, stream, (uint64_t)i);
  return values;
}

/* A function of many numbers in double precision, and its slope along number i. */
typedef double (*function)(const void *context, const double *x);

static void check_slopes(function f, const void *context, double *x, int64_t n,
                         const float *expected) {
  const double h = 1e-5;
  for (int64_t i = 0; i < n; i++) {
    const double at = x[i];
    x[i] = at + h;
    const double above = f(context, x);
    x[i] = at - h;
    const double slope = (above - f(context, x)) / (2.0 * h);
    x[i] = at;
    assert_true(fabs(slope - (double)expected[i]) < 1e-5 * (1.0 + fabs(slope)));
  }
}

static double *widen(int64_t n, const float *x) {
  double *wide = ESP_NEW(double, n);
  for (int64_t i = 0; i < n; i++) wide[i] = (double)x[i];
  return wide;
}

enum { ROWS = 4, N = 7 };

/* sum dy . norm(x); numbers: x (ROWS, N), weight (N), bias (N). */
static double naive_norms(const void *context, const double *x) {
  const op_norm_backward *job = context;
  const double *weight = x + ROWS * N, *bias = weight + N;
  double total = 0.0;
  for (int r = 0; r < ROWS; r++, x += N) {
    double mean = 0.0, square = 0.0;
    for (int i = 0; i < N && job->is_centred; i++) mean += x[i] / N;
    for (int i = 0; i < N; i++) square += (x[i] - mean) * (x[i] - mean) / N;
    for (int i = 0; i < N; i++)
      total += (double)job->dy[r * N + i] *
               ((x[i] - mean) / sqrt(square + job->epsilon) * weight[i] + bias[i]);
  }
  return total;
}

static void check_norm(bool is_centred) {
  enum { ALL = ROWS * N + 2 * N };
  float *x = random_floats(ALL, 1), *dy = random_floats(ROWS * N, 2), found[ALL] = {0.0f};
  op_norm_backward job = {ROWS,    N,          x,     x + ROWS * N,     dy,
                          0.1,     is_centred, found, found + ROWS * N, found + ROWS * N + N,
                          &scratch};
  op_norm_compute_backward(&job);
  esp_workspace_clear(&scratch);
  double *wide = widen(ALL, x);
  check_slopes(naive_norms, &job, wide, ALL, found);
  esp_free(&wide);
  esp_free(&dy);
  esp_free(&x);
}

static void op_norm_compute_backward_matches_differences_of_rms_norm(void **state) {
  (void)state;
  check_norm(false);
}

static void op_norm_compute_backward_matches_differences_of_layer_norm(void **state) {
  (void)state;
  check_norm(true);
}

static void op_norm_compute_backward_works_in_place_without_weights(void **state) {
  (void)state;
  float *x = random_floats(ROWS * N, 1), *dy = random_floats(ROWS * N, 2), found[ROWS * N];
  op_norm_backward job = {ROWS, N, x, x, dy, 0.1, true, found, NULL, NULL, &scratch};
  op_norm_compute_backward(&job);
  job.dx = dy;
  op_norm_compute_backward(&job);
  assert_memory_equal(found, dy, sizeof found);
  esp_workspace_clear(&scratch);
  esp_free(&dy);
  esp_free(&x);
}

/* Numbers: gate (n), up (n). */
static double naive_gate(const void *context, const double *x) {
  const float *dx = context;
  double total = 0.0;
  for (int i = 0; i < N; i++) total += (double)dx[i] * x[i] / (1.0 + exp(-x[i])) * x[N + i];
  return total;
}

static void op_gate_backward_matches_differences(void **state) {
  (void)state;
  const esp_activation *silu = NULL;
  float *x = random_floats(2 * N, 3), *dx = random_floats(N, 4);
  double *wide = widen(2 * N, x);
  assert_int_equal(esp_activation_find("silu", &silu), ESP_OK);
  op_gate_backward(silu, N, dx, x, x + N, NULL);
  check_slopes(naive_gate, dx, wide, 2 * N, x);
  esp_free(&wide);
  esp_free(&dx);
  esp_free(&x);
}

static void op_rotate_back_is_the_inverse(void **state) {
  (void)state;
  float *x = random_floats(6 * 8, 5), *angles = random_floats(3 * 2, 6), cosine[6], sine[6];
  double *before = widen(6 * 8, x);
  for (int i = 0; i < 6; i++) cosine[i] = cosf(angles[i]), sine[i] = sinf(angles[i]);
  op_rotate(6, 3, 2, 4, (const float *[2]){cosine, sine}, x);
  op_rotate_back(6, 3, 2, 4, (const float *[2]){cosine, sine}, x);
  for (int i = 0; i < 6 * 8; i++) assert_true(fabs((double)x[i] - before[i]) < 1e-6);
  esp_free(&before);
  esp_free(&angles);
  esp_free(&x);
}

static void op_scatter_adds_rows_of_the_same_index(void **state) {
  (void)state;
  const float dy[6] = {1, 2, 3, 4, 5, 6};
  float table[6] = {10, 10, 10, 10, 10, 10};
  op_scatter(dy, 3, 2, (const int32_t[3]){2, 0, 2}, table);
  const float expected[6] = {13, 14, 10, 10, 16, 18};
  assert_memory_equal(table, expected, sizeof table);
}

/* Rows of q (heads * size) and of k, v side by side (2, kv_heads * size), as numbers one after the
 * other. */
typedef struct attention {
  op_attention_job job;
  int64_t n_q, n_kv; // floats
  float *values, *found, *dout;
} attention;

static attention attention_new(op_attention_job job) {
  const int64_t rows = job.count * job.length;
  attention self = {.n_q = rows * job.heads * job.head_size,
                    .n_kv = rows * 2 * job.kv_heads * job.head_size};
  self.values = random_floats(self.n_q + self.n_kv, 7);
  self.found = random_floats(self.n_q + self.n_kv, 8); // is overwritten
  self.dout = random_floats(self.n_q, 9);
  job.q_stride = job.heads * job.head_size;
  job.kv_stride = 2 * job.kv_heads * job.head_size;
  job.scale = 0.7f;
  job.workspace = &scratch;
  job.q = self.values;
  job.k = self.values + self.n_q;
  job.v = job.k + job.kv_heads * job.head_size;
  self.job = job;
  return self;
}

static void attention_run(const attention *self) {
  float *dk = self->found + self->n_q;
  float *dv = dk + self->job.kv_heads * self->job.head_size;
  op_attention_backward(&self->job, &(op_attention_gradients){self->dout, self->found, dk, dv});
  esp_workspace_clear(&scratch);
}

static void attention_clear(attention *self) {
  esp_free(&self->values);
  esp_free(&self->found);
  esp_free(&self->dout);
}

static bool is_seen(const op_attention_job *job, int64_t t, int64_t s) {
  if (job->is_causal) return s <= t && (job->window == 0 || s > t - job->window);
  return job->window == 0 || (s <= t + job->window && s >= t - job->window);
}

static double attend_naively(const attention *self, const double *x, int64_t row, int64_t head) {
  const op_attention_job *job = &self->job;
  const int64_t size = job->head_size, at = head / (job->heads / job->kv_heads) * size;
  const int64_t first = row / job->length * job->length, t = row % job->length;
  const int64_t valid = job->lengths ? job->lengths[row / job->length] : job->length;
  const double *q = x + row * job->q_stride + head * size;
  double total = 0.0, sum = 0.0;
  for (int64_t s = 0; s < valid; s++) {
    if (!is_seen(job, t, s)) continue;
    const double *k = x + self->n_q + (first + s) * job->kv_stride + at;
    const double *v = k + job->kv_heads * size;
    double score = 0.0, gain = 0.0;
    for (int64_t i = 0; i < size; i++) score += q[i] * k[i];
    for (int64_t i = 0; i < size; i++)
      gain += (double)self->dout[(row * job->heads + head) * size + i] * v[i];
    sum += exp((double)job->scale * score);
    total += exp((double)job->scale * score) * gain;
  }
  return sum > 0.0 ? total / sum : 0.0;
}

static double naive_attentions(const void *context, const double *x) {
  const attention *self = context;
  double total = 0.0;
  for (int64_t row = 0; row < self->job.count * self->job.length; row++)
    for (int64_t head = 0; head < self->job.heads; head++)
      total += attend_naively(self, x, row, head);
  return total;
}

static void check_attention(op_attention_job job) {
  attention self = attention_new(job);
  attention_run(&self);
  double *wide = widen(self.n_q + self.n_kv, self.values);
  check_slopes(naive_attentions, &self, wide, self.n_q + self.n_kv, self.found);
  esp_free(&wide);
  attention_clear(&self);
}

static void op_attention_backward_matches_differences(void **state) {
  (void)state;
  for (int causal = 0; causal < 2; causal++)
    check_attention((op_attention_job){
        .count = 2, .length = 5, .heads = 2, .kv_heads = 2, .head_size = 3, .is_causal = causal});
}

static void op_attention_backward_adds_over_the_heads_of_a_group(void **state) {
  (void)state;
  check_attention((op_attention_job){
      .count = 1, .length = 6, .heads = 6, .kv_heads = 2, .head_size = 2, .is_causal = true});
}

static void op_attention_backward_masks_padding(void **state) {
  (void)state;
  const int32_t lengths[3] = {2, 0, 5};
  for (int causal = 0; causal < 2; causal++)
    check_attention((op_attention_job){.count = 3,
                                       .length = 5,
                                       .heads = 2,
                                       .kv_heads = 1,
                                       .head_size = 2,
                                       .lengths = lengths,
                                       .is_causal = causal});
}

static void op_attention_backward_goes_over_several_blocks(void **state) {
  (void)state;
  check_attention((op_attention_job){
      .count = 1, .length = 67, .heads = 1, .kv_heads = 1, .head_size = 1, .is_causal = true});
}

static void op_attention_backward_sees_a_window(void **state) {
  (void)state;
  const int32_t lengths[3] = {9, 3, 1};
  for (int causal = 0; causal < 2; causal++)
    for (int64_t window = 1; window < 6; window += 2)
      check_attention((op_attention_job){.count = 3,
                                         .length = 9,
                                         .heads = 2,
                                         .kv_heads = 1,
                                         .head_size = 2,
                                         .lengths = lengths,
                                         .is_causal = causal,
                                         .window = window});
  check_attention((op_attention_job){.count = 1,
                                     .length = 80,
                                     .heads = 1,
                                     .kv_heads = 1,
                                     .head_size = 1,
                                     .is_causal = true,
                                     .window = 9});
}

static void op_attention_backward_does_not_depend_on_threads(void **state) {
  (void)state;
  const op_attention_job job = {
      .count = 3, .length = 97, .heads = 4, .kv_heads = 2, .head_size = 6, .is_causal = true};
  attention one = attention_new(job), many = attention_new(job);
  omp_set_num_threads(1);
  attention_run(&one);
  omp_set_num_threads(3);
  attention_run(&many);
  assert_memory_equal(one.found, many.found, (size_t)(one.n_q + one.n_kv) * sizeof(float));
  omp_set_num_threads(1);
  attention_clear(&one);
  attention_clear(&many);
}

ESP_TEST_MAIN(cmocka_unit_test(op_norm_compute_backward_matches_differences_of_rms_norm),
              cmocka_unit_test(op_norm_compute_backward_matches_differences_of_layer_norm),
              cmocka_unit_test(op_norm_compute_backward_works_in_place_without_weights),
              cmocka_unit_test(op_gate_backward_matches_differences),
              cmocka_unit_test(op_rotate_back_is_the_inverse),
              cmocka_unit_test(op_scatter_adds_rows_of_the_same_index),
              cmocka_unit_test(op_attention_backward_matches_differences),
              cmocka_unit_test(op_attention_backward_adds_over_the_heads_of_a_group),
              cmocka_unit_test(op_attention_backward_masks_padding),
              cmocka_unit_test(op_attention_backward_goes_over_several_blocks),
              cmocka_unit_test(op_attention_backward_sees_a_window),
              cmocka_unit_test(op_attention_backward_does_not_depend_on_threads))
