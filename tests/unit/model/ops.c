#include "floats.h"
#include "unit.h"

#include "ops.h"
#include "rope.h"

#include <math.h>
#include <string.h>

static void rms_norm_gives_an_example_by_hand(void **state) {
  (void)state;
  const float x[2] = {3.0f, 4.0f}, weight[2] = {1.0f, 2.0f}; // mean square 12.5, + 12.5 = 25
  float y[2];
  op_rms_norm(1, 2, x, weight, 12.5, y);
  assert_float_equal(y[0], 0.6f, 1e-7f);
  assert_float_equal(y[1], 1.6f, 1e-7f);
}

static void rms_norm_matches_naive_loops_in_place(void **state) {
  (void)state;
  enum { ROWS = 5, N = 37 };
  float *x = random_floats(ROWS * N, 1), *weight = random_floats(N, 2);
  double expected[ROWS * N];
  for (int r = 0; r < ROWS; r++) {
    double sum = 0.0;
    for (int i = 0; i < N; i++) sum += (double)x[r * N + i] * (double)x[r * N + i];
    for (int i = 0; i < N; i++)
      expected[r * N + i] = (double)x[r * N + i] / sqrt(sum / N + 1e-5) * (double)weight[i];
  }
  op_rms_norm(ROWS, N, x, weight, 1e-5, x);
  assert_true(largest_difference(x, expected, ROWS * N) < 1e-6);
  esp_free(&weight);
  esp_free(&x);
}

static void layer_norm_gives_an_example_by_hand(void **state) {
  (void)state;
  const float x[3] = {1.0f, 3.0f, 5.0f}, weight[3] = {1.0f, 1.0f, 2.0f},
              bias[3] = {0.0f, 7.0f, 1.0f};
  const float *const weight_bias[2] = {weight, bias};
  float y[3]; // mean 3, variance 8/3, + 4/3 = 4
  op_layer_norm(1, 3, x, weight_bias, 4.0 / 3.0, y);
  assert_float_equal(y[0], -1.0f, 1e-7f);
  assert_float_equal(y[1], 7.0f, 1e-7f);
  assert_float_equal(y[2], 3.0f, 1e-6f);
}

static void layer_norm_matches_naive_loops_far_from_0(void **state) {
  (void)state;
  enum { N = 41 };
  float *x = random_floats(N, 3), *weight = random_floats(N, 4), *bias = random_floats(N, 5);
  const float *const weight_bias[2] = {weight, bias};
  double expected[N], mean = 0.0, variance = 0.0;
  for (int i = 0; i < N; i++) mean += (double)(x[i] += 1000.0f) / N;
  for (int i = 0; i < N; i++) variance += ((double)x[i] - mean) * ((double)x[i] - mean) / N;
  for (int i = 0; i < N; i++)
    expected[i] =
        ((double)x[i] - mean) / sqrt(variance + 1e-5) * (double)weight[i] + (double)bias[i];
  op_layer_norm(1, N, x, weight_bias, 1e-5, x);
  assert_true(largest_difference(x, expected, N) < 2e-6);
  esp_free(&bias);
  esp_free(&weight);
  esp_free(&x);
}

static const esp_activation *find_activation(const char *name) {
  const esp_activation *found = NULL;
  assert_int_equal(esp_activation_find(name, &found), ESP_OK);
  return found;
}

static void finish_adds_activates_and_multiplies(void **state) {
  (void)state;
  const float factor[4] = {2.0f, 3.0f, 4.0f, 5.0f}, bias[2] = {1.0f, -0.5f};
  float y[4] = {1.0f, -1.0f, 0.0f, 1.0f};
  op_finishing all = {y, 2, bias, find_activation("relu"), factor};
  op_finish(&all, &(esp_gemm_tile){1, 1, 1, 1});
  const float one[4] = {1.0f, -1.0f, 0.0f, 2.5f}, rest[4] = {4.0f, 0.0f, 4.0f, 2.5f};
  for (int i = 0; i < 4; i++) assert_float_equal(y[i], one[i], 0.0f);
  y[3] = 1.0f;
  op_finish(&all, &(esp_gemm_tile){0, 0, 2, 2});
  for (int i = 0; i < 4; i++) assert_float_equal(y[i], rest[i], 0.0f);
  all = (op_finishing){.y = y, .n = 2};
  op_finish(&all, &(esp_gemm_tile){0, 0, 2, 2});
  for (int i = 0; i < 4; i++) assert_float_equal(y[i], rest[i], 0.0f);
}

static double exact_silu(double z) {
  return z / (1.0 + exp(-z));
}
static double exact_gelu_new(double z) {
  return 0.5 * z * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (z + 0.044715 * z * z * z)));
}

static void assert_activation(const char *name, double (*exact)(double)) {
  const float one = 1.0f;
  for (int i = -1000; i <= 1000; i++) {
    const float z = (float)i / 50.0f;
    const double slope = (exact((double)z + 1e-5) - exact((double)z - 1e-5)) / 2e-5;
    float y, dz;
    find_activation(name)->apply(1, &z, &y);
    find_activation(name)->derive(1, &z, &one, &dz);
    assert_true(fabs((double)y - exact((double)z)) < 3e-7 * fmax(1.0, fabs((double)z)));
    assert_true(fabs((double)dz - slope) < 5e-6);
  }
}

static void silu_and_gelu_new_match_double_precision(void **state) {
  (void)state;
  assert_activation("silu", exact_silu);
  assert_activation("gelu_new", exact_gelu_new);
  assert_activation("gelu_pytorch_tanh", exact_gelu_new);
}

static void silu_keeps_nan_and_survives_large_numbers(void **state) {
  (void)state;
  const float z[4] = {NAN, -1e30f, 1e30f, 0.0f};
  float y[4];
  find_activation("silu")->apply(4, z, y);
  assert_true(isnan(y[0]));
  assert_true(fabsf(y[1]) < 1e-6f);
  assert_float_equal(y[2], 1e30f, 0.0f);
  assert_float_equal(y[3], 0.0f, 0.0f);
}

static void rotate_turns_by_a_right_angle(void **state) {
  (void)state;
  const float cosine[2] = {1.0f, 0.0f}, sine[2] = {0.0f, 1.0f}; // positions 0 and 1 of one pair
  float x[4] = {2.0f, 3.0f, 2.0f, 3.0f};
  op_rotate(2, 2, 1, 2, (const float *[2]){cosine, sine}, x);
  const float expected[4] = {2.0f, 3.0f, -3.0f, 2.0f};
  for (int i = 0; i < 4; i++) assert_float_equal(x[i], expected[i], 0.0f);
}

static rope read_rope(const char *text) {
  rope self;
  json_t *config = json_loads(text, 0, NULL);
  assert_non_null(config);
  assert_int_equal(rope_read(config, 8, 1000, &self), ESP_OK);
  json_decref(config);
  return self;
}

/* Angles of position 1 are the frequencies; sines of small angles are the angles. */
static void frequencies_of(const char *text, float frequency[4]) {
  const rope self = read_rope(text);
  float cosine[8], sine[8];
  rope_fill(&self, 2, cosine, sine);
  for (int i = 0; i < 4; i++) {
    assert_float_equal(cosine[i], 1.0f, 0.0f);
    assert_float_equal(sine[i], 0.0f, 0.0f);
    frequency[i] = atan2f(sine[4 + i], cosine[4 + i]);
  }
}

static void assert_frequencies(const char *text, const float expected[4]) {
  float found[4];
  frequencies_of(text, found);
  for (int i = 0; i < 4; i++) assert_float_equal(found[i], expected[i], 1e-6f * expected[i]);
}

static void rope_default_is_a_geometric_series(void **state) {
  (void)state;
  const float expected[4] = {1.0f, 0.1f, 0.01f, 0.001f};
  assert_frequencies("{}", expected);
  assert_frequencies("{\"rope_theta\": 10000, \"rope_scaling\": null}", expected);
  assert_frequencies("{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e4}}",
                     expected);
}

static void rope_linear_divides_by_factor(void **state) {
  (void)state;
  const float expected[4] = {0.25f, 0.025f, 0.0025f, 0.00025f};
  assert_frequencies("{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}}", expected);
  assert_frequencies(
      "{\"rope_parameters\": {\"rope_type\": \"linear\", \"rope_theta\": 1e4, \"factor\": 4.0}}",
      expected);
}

/* Waves of 6.3, 63, 628 and 6283 positions against 1000 / 4 = 250 and 1000 / 1: kept, kept, blended
 * with s = (1000 / 628.3 - 1) / 3 = 0.197183, divided by 8. */
static void rope_llama3_has_three_bands(void **state) {
  (void)state;
  const double s = (1000.0 / (200.0 * acos(-1.0)) - 1.0) / 3.0;
  const float expected[4] = {1.0f, 0.1f, (float)((1.0 - s) * 0.01 / 8.0 + s * 0.01), 0.001f / 8.0f};
  assert_frequencies(
      "{\"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1,"
      " \"high_freq_factor\": 4, \"original_max_position_embeddings\": 1000}}",
      expected);
  assert_frequencies("{\"rope_scaling\": {\"rope_type\": \"llama3\","
                     " \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4}}",
                     expected);
}

/* The older spelling wins where both are there, unless it is empty. */
static void rope_scaling_wins_over_rope_parameters(void **state) {
  (void)state;
  const float linear[4] = {0.25f, 0.025f, 0.0025f, 0.00025f}, plain[4] = {1, 0.1f, 0.01f, 0.001f};
  assert_frequencies("{\"rope_parameters\": {\"rope_type\": \"default\"},"
                     " \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}}",
                     linear);
  assert_frequencies("{\"rope_parameters\": {\"rope_type\": \"default\"}, \"rope_scaling\": {}}",
                     plain);
}

/* Sequences of 2 are within 1000 positions. Of 2000 with factor 3, theta is multiplied by
 * (3 * 2 - 2)^(8 / 6). */
static void rope_dynamic_grows_beyond_the_positions(void **state) {
  (void)state;
  enum { T = 2000 };
  static const char text[] = "{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 3}}";
  const float short_ones[4] = {1.0f, 0.1f, 0.01f, 0.001f};
  const rope self = read_rope(text);
  float *angles = ESP_NEW(float, 2 * T * 4);
  assert_frequencies(text, short_ones);
  rope_fill(&self, T, angles, angles + T * 4);
  for (int i = 0; i < 4; i++) {
    const double theta = 1e4 * pow(4.0, 8.0 / 6.0), expected = pow(theta, -i / 4.0);
    const double found = (double)atan2f(angles[T * 4 + 4 + i], angles[4 + i]);
    assert_true(fabs(found / expected - 1.0) < 1e-6);
  }
  esp_free(&angles);
}

/* Pairs 8 log(1000 / (2 pi 32)) / (2 log 10^4) = 0.697 and 2.202 become 0 and 3: kept by 1, 2/3,
 * 1/3, 0. Cosines and sines are multiplied by 0.1 log 4 + 1. */
static void rope_yarn_blends_between_two_pairs(void **state) {
  (void)state;
  const rope self = read_rope("{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4}}");
  float cosine[8], sine[8];
  rope_fill(&self, 2, cosine, sine);
  for (int i = 0; i < 4; i++) {
    const double plain = pow(10.0, -i), kept = 1.0 - i / 3.0;
    const double expected = kept * plain + (1.0 - kept) * plain / 4.0;
    assert_float_equal(cosine[i], 1.0f + 0.1f * logf(4.0f), 1e-6f);
    assert_true(fabs((double)atan2f(sine[4 + i], cosine[4 + i]) / expected - 1.0) < 1e-6);
  }
}

static void rope_yarn_takes_its_attention_factor_from_what_is_given(void **state) {
  (void)state;
  static const struct {
    const char *members;
    double expected;
  } cases[] = {
      {"\"attention_factor\": 0.5", 0.5},
      {"\"mscale\": 1.0, \"mscale_all_dim\": 0.8", 1.1386294361 / 1.1109035489},
      {"\"mscale\": 2.0", 1.1386294361},
      {"\"factor\": null, \"original_max_position_embeddings\": 500", 1.0693147181},
      {"\"factor\": 1", 1.0},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    char *text = esp_format("{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 4, %s}}",
                            cases[i].members);
    assert_true(fabs(read_rope(text).attention - cases[i].expected) < 1e-9);
    esp_free(&text);
  }
}

/* Factors 2 up to 4 positions, 5 beyond; attention sqrt(1 + log(1000 / 4) / log(4)). */
static void rope_longrope_has_factors_by_length(void **state) {
  (void)state;
  rope self;
  json_t *config =
      json_loads("{\"original_max_position_embeddings\": 4, \"rope_scaling\": {"
                 "\"type\": \"longrope\", \"short_factor\": [2, 2, 2, 2],"
                 " \"long_factor\": [5, 5, 5, 5], \"original_max_position_embeddings\": 8}}",
                 0, NULL);
  assert_int_equal(rope_read(config, 8, 1000, &self), ESP_OK);
  float cosine[20], sine[20];
  for (int length = 4; length <= 5; length++) {
    rope_fill(&self, length, cosine, sine);
    assert_float_equal(cosine[0], sqrtf(1.0f + logf(250.0f) / logf(4.0f)), 1e-6f);
    assert_float_equal(atan2f(sine[5], cosine[5]), length == 4 ? 0.05f : 0.02f, 1e-7f);
  }
  json_decref(config);
}

static void rope_scores_depend_on_distance_alone(void **state) {
  (void)state;
  enum { T = 12, SIZE = 8 };
  const rope self = read_rope("{}");
  float cosine[T * SIZE / 2], sine[T * SIZE / 2], q[T * SIZE], k[T * SIZE];
  float *one = random_floats(2 * SIZE, 6);
  for (int i = 0; i < T * SIZE; i++) q[i] = one[i % SIZE], k[i] = one[SIZE + i % SIZE];
  rope_fill(&self, T, cosine, sine);
  op_rotate(T, T, 1, SIZE, (const float *[2]){cosine, sine}, q);
  op_rotate(T, T, 1, SIZE, (const float *[2]){cosine, sine}, k);
  for (int t = 3; t < T; t++) {
    float score = 0.0f, first = 0.0f;
    for (int i = 0; i < SIZE; i++) {
      first += q[3 * SIZE + i] * k[i];
      score += q[t * SIZE + i] * k[(t - 3) * SIZE + i];
    }
    assert_float_equal(score, first, 1e-5f);
  }
  esp_free(&one);
}

static void rope_read_refuses_what_it_does_not_know(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\"rope_scaling\": {\"type\": \"mrope\"}}",
       "unknown type of rotary embedding 'mrope'; known: default, linear, proportional, llama3, "
       "dynamic, yarn, longrope"},
      {"{\"rope_scaling\": 2.0}", "an object for 'rope_scaling'"},
      {"{\"rope_scaling\": {\"type\": \"dynamic\"}}", "'factor'"},
      {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2, \"beta_fast\": -1}}",
       "'beta_fast' of the rotary embedding > 0"},
      {"{\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 1, 1, 1],"
       " \"long_factor\": [1, 1, 1]}}",
       "4 numbers > 0 in 'long_factor'"},
      {"{\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 1, \"1\", 1]}}",
       "4 numbers > 0 in 'short_factor'"},
      {"{\"rope_scaling\": {\"rope_type\": \"linear\"}}", "'factor'"},
      {"{\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0}}",
       "'factor' of the rotary embedding > 0"},
      {"{\"rope_parameters\": {\"rope_theta\": -1}}", "'rope_theta'"},
      {"{\"rope_parameters\": {\"partial_rotary_factor\": 0.5}}", "partial_rotary_factor 0.5"},
      {"{\"rope_parameters\": {\"sliding_attention\": {}}}", "layers of type 'sliding_attention'"},
      {"{\"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4,"
       " \"high_freq_factor\": 4, \"original_max_position_embeddings\": 64}}",
       "high_freq_factor above"},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    rope self;
    json_t *config = json_loads(cases[i][0], 0, NULL);
    assert_failure(rope_read(config, 8, 64, &self), ESP_FORMAT, cases[i][1]);
    json_decref(config);
  }
}

ESP_TEST_MAIN(cmocka_unit_test(rms_norm_gives_an_example_by_hand),
              cmocka_unit_test(rms_norm_matches_naive_loops_in_place),
              cmocka_unit_test(layer_norm_gives_an_example_by_hand),
              cmocka_unit_test(layer_norm_matches_naive_loops_far_from_0),
              cmocka_unit_test(finish_adds_activates_and_multiplies),
              cmocka_unit_test(silu_and_gelu_new_match_double_precision),
              cmocka_unit_test(silu_keeps_nan_and_survives_large_numbers),
              cmocka_unit_test(rotate_turns_by_a_right_angle),
              cmocka_unit_test(rope_default_is_a_geometric_series),
              cmocka_unit_test(rope_linear_divides_by_factor),
              cmocka_unit_test(rope_llama3_has_three_bands),
              cmocka_unit_test(rope_scaling_wins_over_rope_parameters),
              cmocka_unit_test(rope_dynamic_grows_beyond_the_positions),
              cmocka_unit_test(rope_yarn_blends_between_two_pairs),
              cmocka_unit_test(rope_yarn_takes_its_attention_factor_from_what_is_given),
              cmocka_unit_test(rope_longrope_has_factors_by_length),
              cmocka_unit_test(rope_scores_depend_on_distance_alone),
              cmocka_unit_test(rope_read_refuses_what_it_does_not_know))
