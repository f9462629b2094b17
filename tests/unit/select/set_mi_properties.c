#include "set_mi_plain.h"

#include <omp.h>

#define assert_near(value, want, tolerance) assert_true(fabs((value) - (want)) <= (tolerance))

static const char *const both[] = {"set-mi", "set-mi-forward"};

/* Independent units of variance 4 and 1, read by their own outputs with 1 and 3: costs m^2 G. */
static void set_mi_prices_independent_units(void **state) {
  (void)state;
  const double covariance[] = {4, 0, 0, 1};
  const float map[] = {1, 0, 0, 3};
  const esp_evidence evidence = {
      .site = "s", .units = 2, .width = 1, .outputs = 2, .covariance = covariance, .map = map};
  const ranking got = must_rank("set-mi", &evidence);
  assert_int_equal(got.order[0], 1);
  assert_near(got.score[0], 4, 1e-14);
  assert_near(got.score[1], 9, 1e-14);
}

/* Correlation 1/2, y = x_0 + x_1: dropping either costs Var(x_1 | x_0) = 3/4, the tie drops the
 * higher index, and the rest explains Cov(x_0, y)^2 = 9/4. */
static void set_mi_prices_correlated_units(void **state) {
  (void)state;
  const double covariance[] = {1, 0.5, 0.5, 1};
  const float map[] = {1, 1};
  const esp_evidence evidence = {
      .site = "s", .units = 2, .width = 1, .outputs = 1, .covariance = covariance, .map = map};
  const ranking got = must_rank("set-mi", &evidence);
  assert_int_equal(got.order[0], 0);
  assert_near(got.score[1], 0.75, 1e-14);
  assert_near(got.score[0], 2.25, 1e-14);
}

/* Two features a unit, covariance I, one output: a unit costs the squares of its two weights. */
static void set_mi_prices_a_group(void **state) {
  (void)state;
  const double covariance[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  const float map[] = {1, 2, 3, 0};
  const esp_evidence evidence = {
      .site = "s", .units = 2, .width = 2, .outputs = 1, .covariance = covariance, .map = map};
  const ranking got = must_rank("set-mi", &evidence);
  assert_int_equal(got.order[0], 1);
  assert_near(got.score[0], 5, 1e-14);
  assert_near(got.score[1], 9, 1e-14);
}

/* Variances 4 and 1, y their sum, ridge 0.1 of the mean: G + D = diag(4.25, 1.25), Var(y) = 5. */
static void set_mi_forward_prices_independent_units(void **state) {
  (void)state;
  const double covariance[] = {4, 0, 0, 1}, left = 5 - 16 / 4.25;
  const float map[] = {1, 1};
  const esp_evidence evidence = {.site = "s",
                                 .units = 2,
                                 .width = 1,
                                 .outputs = 1,
                                 .covariance = covariance,
                                 .map = map,
                                 .ridge = 0.1};
  const ranking got = must_rank("set-mi-forward", &evidence);
  assert_int_equal(got.order[0], 0);
  assert_near(got.score[0], -0.5 * log(left / 5), 1e-14);
  assert_near(got.score[1], -0.5 * log(1 - 1 / (1.25 * left)), 1e-14);
}

static void permute(const problem *from, const int64_t *place, problem *to) {
  const int64_t n = from->evidence.units;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++)
      to->covariance[place[i] * n + place[j]] = from->covariance[i * n + j];
    for (int64_t j = 0; j < from->evidence.outputs; j++)
      to->map[j * n + place[i]] = from->map[j * n + i];
  }
}

static void set_mi_follows_a_permutation_of_units(void **state) {
  (void)state;
  int64_t place[41];
  esp_rng_permutation(1, 2, 41, place);
  problem p = problem_new(41, 1, 5, 3), q = problem_new(41, 1, 5, 3);
  permute(&p, place, &q);
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    const ranking before = must_rank(both[c], &p.evidence), after = must_rank(both[c], &q.evidence);
    for (int64_t k = 0; k < 41; k++) assert_int_equal(after.order[k], place[before.order[k]]);
  }
  problem_clear(&p);
  problem_clear(&q);
}

/* Scale feature f by f + 1/3 and its map column by the inverse. */
static void rescale(problem *p) {
  const int64_t n = p->evidence.units * p->evidence.width;
  for (int64_t i = 0; i < n * n; i++)
    p->covariance[i] *= ((double)(i / n) + 1. / 3) * ((double)(i % n) + 1. / 3);
  for (int64_t i = 0; i < p->evidence.outputs * n; i++)
    p->map[i] = (float)((double)p->map[i] / ((double)(i % n) + 1. / 3));
}

static void set_mi_does_not_see_the_units_of_measurement(void **state) {
  (void)state;
  problem p = problem_new(13, 3, 5, 4), q = problem_new(13, 3, 5, 4);
  p.evidence.ridge = q.evidence.ridge = 0;
  rescale(&q);
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    const ranking before = must_rank(both[c], &p.evidence), after = must_rank(both[c], &q.evidence);
    assert_order(after.order, before.order, 13);
    assert_close(after.score, before.score, 12, 1e-3);
  }
  problem_clear(&p);
  problem_clear(&q);
}

static void set_mi_drops_the_higher_of_two_copies_first(void **state) {
  (void)state;
  problem p = problem_new(30, 1, 40, 5);
  copy_feature(&p, 11, 23);
  p.evidence.ridge = 1e-6;
  const ranking got = must_rank("set-mi", &p.evidence);
  assert_int_equal(got.order[29], 23);
  assert_int_not_equal(got.order[28], 11);
  problem_clear(&p);
}

static void set_mi_forward_takes_the_lower_of_two_copies_first(void **state) {
  (void)state;
  problem p = problem_new(30, 1, 40, 5);
  copy_feature(&p, 11, 23);
  p.evidence.ridge = 1e-6;
  const ranking got = must_rank("set-mi-forward", &p.evidence);
  assert_int_equal(got.order[29], 23);
  assert_int_not_equal(got.order[28], 11);
  problem_clear(&p);
}

static void set_mi_keeps_the_order_of_equal_units(void **state) {
  (void)state;
  problem p = problem_new(70, 1, 3, 6);
  for (int64_t f = 1; f < 70; f++) copy_feature(&p, 0, f);
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    const ranking got = must_rank(both[c], &p.evidence);
    for (int64_t k = 0; k < 70; k++) assert_int_equal(got.order[k], k);
  }
  problem_clear(&p);
}

static void set_mi_puts_dead_units_last(void **state) {
  (void)state;
  problem p = problem_new(20, 1, 4, 7);
  copy_feature(&p, -1, 3);
  copy_feature(&p, -1, 12);
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    const ranking got = must_rank(both[c], &p.evidence);
    assert_int_equal(got.order[18], 3);
    assert_int_equal(got.order[19], 12);
    assert_true(got.score[3] == 0 && got.score[12] == 0);
    assert_true(got.score[got.order[17]] > 0);
  }
  problem_clear(&p);
}

static void set_mi_puts_dead_units_behind_units_nobody_reads(void **state) {
  (void)state;
  const double covariance[] = {0, 0, 0, 0, 1, 0, 0, 0, 1};
  const float map[] = {1, 0, 1};
  const int64_t want[] = {2, 1, 0};
  const esp_evidence evidence = {
      .site = "s", .units = 3, .width = 1, .outputs = 1, .covariance = covariance, .map = map};
  for (size_t c = 0; c < ESP_COUNT(both); c++)
    assert_order(must_rank(both[c], &evidence).order, want, 3);
}

static void set_mi_takes_a_dead_feature_in_a_living_unit(void **state) {
  (void)state;
  problem p = problem_new(6, 3, 4, 8);
  copy_feature(&p, -1, 7);
  const ranking got = must_rank("set-mi", &p.evidence), plain = rank_backward_plainly(&p.evidence);
  assert_order(got.order, plain.order, 6);
  assert_close(got.score, plain.score, 6, 1e-9);
  problem_clear(&p);
}

static void set_mi_of_dead_units_only_keeps_their_order(void **state) {
  (void)state;
  const double covariance[9] = {0};
  const float map[] = {1, 2, 3};
  for (size_t c = 0; c < ESP_COUNT(both); c++)
    for (int64_t width = 1; width <= 3; width += 2) {
      const esp_evidence evidence = {.site = "s",
                                     .units = 3 / width,
                                     .width = width,
                                     .outputs = 1,
                                     .covariance = covariance,
                                     .map = map,
                                     .ridge = 1e-4};
      const ranking got = must_rank(both[c], &evidence);
      for (int64_t u = 0; u < 3 / width; u++) assert_true(got.order[u] == u && got.score[u] == 0);
    }
}

static void set_mi_takes_no_outputs_and_no_units(void **state) {
  (void)state;
  problem p = problem_new(5, 1, 0, 9);
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    p.evidence.units = 5;
    const ranking got = must_rank(both[c], &p.evidence);
    for (int64_t u = 0; u < 5; u++) assert_true(got.order[u] == u && got.score[u] == 0);
    p.evidence.units = 0;
    must_rank(both[c], &p.evidence);
  }
  problem_clear(&p);
}

static void set_mi_refuses_a_singular_covariance_without_ridge(void **state) {
  (void)state;
  problem p = problem_new(20, 1, 3, 10);
  ranking result;
  copy_feature(&p, 4, 9);
  p.evidence.ridge = 0;
  assert_failure(rank("set-mi", &p.evidence, &result), ESP_NUMERIC, "such as --ridge 0.0001");
  problem_clear(&p);
}

static void set_mi_forward_takes_a_singular_covariance_without_ridge(void **state) {
  (void)state;
  problem p = problem_new(20, 1, 40, 10);
  copy_feature(&p, 4, 9);
  p.evidence.ridge = 0;
  const ranking got = must_rank("set-mi-forward", &p.evidence);
  assert_int_equal(got.order[19], 9);
  assert_true(got.score[9] == 0);
  problem_clear(&p);
}

static void set_mi_scores_never_rise_along_the_order(void **state) {
  (void)state;
  problem p = problem_new(90, 1, 7, 11);
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    const ranking got = must_rank(both[c], &p.evidence);
    for (int64_t k = 1; k < 90; k++)
      assert_true(got.score[got.order[k]] <= got.score[got.order[k - 1]]);
  }
  problem_clear(&p);
}

/* More features than a block of columns has, more outputs than a panel. */
static void set_mi_has_the_same_bits_at_any_thread_count(void **state) {
  (void)state;
  const int before = omp_get_max_threads();
  problem p = problem_new(80, 2, 300, 12);
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    omp_set_num_threads(1);
    const ranking once = must_rank(both[c], &p.evidence);
    for (int threads = 1; threads <= 3; threads++) {
      omp_set_num_threads(threads);
      const ranking again = must_rank(both[c], &p.evidence);
      assert_memory_equal(&once, &again, sizeof once);
    }
  }
  omp_set_num_threads(before);
  problem_clear(&p);
}

static void set_mi_reads_no_scale_as_one(void **state) {
  (void)state;
  problem p = problem_new(20, 1, 7, 13);
  for (int64_t j = 0; j < 7; j++) p.scale[j] = 1;
  for (size_t c = 0; c < ESP_COUNT(both); c++) {
    p.evidence.output_scale = p.scale;
    const ranking ones = must_rank(both[c], &p.evidence);
    p.evidence.output_scale = NULL;
    const ranking none = must_rank(both[c], &p.evidence);
    assert_memory_equal(&ones, &none, sizeof ones);
  }
  problem_clear(&p);
}

/* y_0 = x_0 + x_1 with Var 4 + 1 + 2 = 7, y_1 = 0. */
static void output_scale_is_one_over_the_deviation(void **state) {
  (void)state;
  const double covariance[] = {4, 1, 1, 1};
  const float map[] = {1, 1, 0, 0};
  const esp_evidence evidence = {
      .site = "s", .units = 2, .width = 1, .outputs = 2, .covariance = covariance, .map = map};
  double scale[2];
  assert_int_equal(esp_compute_output_scale(&evidence, scale), ESP_OK);
  assert_near(scale[0], 1 / sqrt(7), 1e-6);
  assert_near(scale[1], 1 / sqrt(3.5e-6), 1e-6);
}

static void output_scale_of_silent_outputs_is_one(void **state) {
  (void)state;
  const double covariance[] = {0};
  const float map[] = {1, 2};
  const esp_evidence evidence = {
      .site = "s", .units = 1, .width = 1, .outputs = 2, .covariance = covariance, .map = map};
  double scale[2] = {0, 0};
  assert_int_equal(esp_compute_output_scale(&evidence, scale), ESP_OK);
  assert_true(scale[0] == 1 && scale[1] == 1);
}

ESP_TEST_MAIN(cmocka_unit_test(set_mi_prices_independent_units),
              cmocka_unit_test(set_mi_prices_correlated_units),
              cmocka_unit_test(set_mi_prices_a_group),
              cmocka_unit_test(set_mi_forward_prices_independent_units),
              cmocka_unit_test(set_mi_follows_a_permutation_of_units),
              cmocka_unit_test(set_mi_does_not_see_the_units_of_measurement),
              cmocka_unit_test(set_mi_drops_the_higher_of_two_copies_first),
              cmocka_unit_test(set_mi_forward_takes_the_lower_of_two_copies_first),
              cmocka_unit_test(set_mi_keeps_the_order_of_equal_units),
              cmocka_unit_test(set_mi_puts_dead_units_last),
              cmocka_unit_test(set_mi_puts_dead_units_behind_units_nobody_reads),
              cmocka_unit_test(set_mi_takes_a_dead_feature_in_a_living_unit),
              cmocka_unit_test(set_mi_of_dead_units_only_keeps_their_order),
              cmocka_unit_test(set_mi_takes_no_outputs_and_no_units),
              cmocka_unit_test(set_mi_refuses_a_singular_covariance_without_ridge),
              cmocka_unit_test(set_mi_forward_takes_a_singular_covariance_without_ridge),
              cmocka_unit_test(set_mi_scores_never_rise_along_the_order),
              cmocka_unit_test(set_mi_has_the_same_bits_at_any_thread_count),
              cmocka_unit_test(set_mi_reads_no_scale_as_one),
              cmocka_unit_test(output_scale_is_one_over_the_deviation),
              cmocka_unit_test(output_scale_of_silent_outputs_is_one))
