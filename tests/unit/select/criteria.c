#include "ranking.h"

#include <math.h>
#include <string.h>

#define assert_near(value, want, tolerance) assert_true(fabs((value) - (want)) <= (tolerance))

static void criterion_find_gives_every_row_of_the_table(void **state) {
  (void)state;
  int count = 0;
  for (; esp_criteria[count]; count++)
    assert_ptr_equal(find(esp_criteria[count]->name), esp_criteria[count]);
  assert_true(count > 0);
}

static void criterion_find_names_the_nearest(void **state) {
  (void)state;
  const esp_criterion *criterion = NULL;
  assert_failure(esp_criterion_find("magnitud", &criterion), ESP_USAGE, "did you mean");
  assert_non_null(strstr(esp_failure_text(), "magnitude"));
  assert_non_null(strstr(esp_failure_text(), "set-mi-forward"));
  assert_null(criterion);
}

static void criteria_need_what_they_read(void **state) {
  (void)state;
  assert_int_equal(find("random")->needs, 0);
  assert_int_equal(find("magnitude")->needs, ESP_NEEDS_NORMS);
  assert_int_equal(find("mi")->needs, ESP_NEEDS_INFORMATION);
  assert_int_equal(find("mi-mrmr")->needs, ESP_NEEDS_INFORMATION | ESP_NEEDS_REDUNDANCY);
  for (int i = 0; i < 2; i++)
    assert_int_equal(find(i ? "mi-jmi" : "mi-cmim")->needs,
                     ESP_NEEDS_INFORMATION | ESP_NEEDS_REDUNDANCY | ESP_NEEDS_CONDITIONAL);
  assert_int_equal(find("set-mi")->needs, ESP_NEEDS_COVARIANCE | ESP_NEEDS_MAP | ESP_NEEDS_METRIC);
  assert_int_equal(find("set-mi-forward")->needs, ESP_NEEDS_COVARIANCE | ESP_NEEDS_MAP);
  assert_int_equal(find("max-entropy")->needs,
                   ESP_NEEDS_COVARIANCE | ESP_NEEDS_CODES | ESP_NEEDS_ABOUT_ZERO | ESP_NEEDS_MAP);
}

/* What is told most by its input goes first; equal ones by the lowest index. */
static void block_criteria_keep_what_differs_most(void **state) {
  (void)state;
  const double likeness[] = {0.1, 0.9, 0.5, 0.9, 0.7};
  const int64_t want[] = {0, 2, 4, 1, 3};
  const char *const names[] = {"block", "block-cosine"};
  int64_t order[5];
  double score[5];
  for (int i = 0; i < 2; i++) {
    const esp_evidence evidence = {.site = "block",
                                   .units = 5,
                                   .width = 1,
                                   .layer_information = i == 0 ? likeness : NULL,
                                   .layer_cosine = i == 1 ? likeness : NULL};
    assert_int_equal(find(names[i])->rank(&evidence, order, score), ESP_OK);
    assert_memory_equal(order, want, sizeof want);
    for (int k = 0; k < 5; k++) assert_near(score[k], -likeness[k], 0.0);
  }
}

static void block_criteria_refuse_a_nan(void **state) {
  (void)state;
  const double broken[] = {0.1, NAN};
  const esp_evidence evidence = {
      .site = "block", .units = 2, .width = 1, .layer_information = broken, .layer_cosine = broken};
  int64_t order[2];
  double score[2];
  assert_failure(find("block")->rank(&evidence, order, score), ESP_NUMERIC, "information");
  assert_failure(find("block-cosine")->rank(&evidence, order, score), ESP_NUMERIC, "cosine");
}

static void rank_by_score_breaks_ties_by_lowest_index(void **state) {
  (void)state;
  const double score[] = {1, 3, 1, 3, 2, 1};
  const int64_t want[] = {1, 3, 4, 0, 2, 5};
  int64_t order[6];
  esp_rank_by_score(6, score, order);
  assert_memory_equal(order, want, sizeof want);
}

static void rank_random(uint64_t seed, uint64_t stream, int64_t *order, double *score) {
  const esp_evidence evidence = {
      .site = "s", .units = 20, .width = 1, .seed = seed, .stream = stream};
  assert_int_equal(find("random")->rank(&evidence, order, score), ESP_OK);
}

static void random_is_the_permutation_of_seed_and_stream(void **state) {
  (void)state;
  int64_t order[20], want[20];
  double score[20];
  rank_random(3, 4, order, score);
  esp_rng_permutation(3, 4, 20, want);
  assert_memory_equal(order, want, sizeof want);
}

static void random_differs_by_seed_and_by_stream(void **state) {
  (void)state;
  int64_t base[20], seed[20], stream[20];
  double score[20];
  rank_random(3, 4, base, score);
  rank_random(4, 4, seed, score);
  rank_random(3, 5, stream, score);
  assert_memory_not_equal(base, seed, sizeof base);
  assert_memory_not_equal(base, stream, sizeof base);
}

static void random_scores_agree_with_the_order(void **state) {
  (void)state;
  int64_t order[20], again[20];
  double score[20];
  rank_random(1, 0, order, score);
  esp_rank_by_score(20, score, again);
  assert_memory_equal(order, again, sizeof order);
}

static void magnitude_ranks_by_the_product_of_norms(void **state) {
  (void)state;
  const double producer[] = {1, 2, 3, 2}, consumer[] = {5, 4, 1, 4};
  const int64_t want[] = {1, 3, 0, 2};
  const esp_evidence evidence = {
      .site = "s", .units = 4, .width = 1, .producer_norm = producer, .consumer_norm = consumer};
  int64_t order[4];
  double score[4];
  assert_int_equal(find("magnitude")->rank(&evidence, order, score), ESP_OK);
  assert_memory_equal(order, want, sizeof want);
  assert_near(score[1], 8, 1e-15);
}

static void mi_ranks_by_the_mean_over_outputs(void **state) {
  (void)state;
  const float information[] = {0.1f, 0.3f, 0.5f, 0.5f, 0.0f, 0.2f};
  const int64_t want[] = {1, 0, 2};
  const esp_evidence evidence = {
      .site = "s", .units = 3, .width = 1, .upper = 2, .information = information};
  int64_t order[3];
  double score[3];
  assert_int_equal(find("mi")->rank(&evidence, order, score), ESP_OK);
  assert_memory_equal(order, want, sizeof want);
  assert_near(score[0], 0.2, 1e-7);
}

static void mi_sums_the_features_of_a_unit(void **state) {
  (void)state;
  const float information[] = {0.1f, 0.2f, 0.3f, 0.4f, 0.9f, 0.0f};
  const esp_evidence evidence = {
      .site = "s", .units = 2, .width = 3, .upper = 1, .information = information};
  int64_t order[2];
  double score[2];
  assert_int_equal(find("mi")->rank(&evidence, order, score), ESP_OK);
  assert_near(score[0], 0.6, 1e-7);
  assert_near(score[1], 1.3, 1e-7);
  assert_int_equal(order[0], 1);
}

static void mi_without_upper_units_keeps_the_order_of_units(void **state) {
  (void)state;
  const float information[1] = {0};
  const esp_evidence evidence = {
      .site = "s", .units = 2, .width = 1, .upper = 0, .information = information};
  int64_t order[2];
  double score[2];
  assert_int_equal(find("mi")->rank(&evidence, order, score), ESP_OK);
  assert_int_equal(order[0], 0);
  assert_true(score[0] == 0 && score[1] == 0);
}

typedef struct full_evidence {
  float information[4], map[4];
  double covariance[4], scale[2], producer[2], consumer[2];
} full_evidence;

static const full_evidence good = {
    {.1f, .2f, .3f, .4f}, {1, 2, 3, 4}, {2, 1, 1, 2}, {1, 1}, {1, 2}, {3, 4}};

static esp_status rank_full(const char *name, const full_evidence *full, double ridge) {
  const esp_evidence evidence = {.site = "ffn.7",
                                 .units = 2,
                                 .width = 1,
                                 .upper = 2,
                                 .outputs = 2,
                                 .information = full->information,
                                 .covariance = full->covariance,
                                 .map = full->map,
                                 .output_scale = full->scale,
                                 .producer_norm = full->producer,
                                 .consumer_norm = full->consumer,
                                 .ridge = ridge};
  int64_t order[2];
  double score[2];
  return find(name)->rank(&evidence, order, score);
}

static void magnitude_rejects_nan(void **state) {
  (void)state;
  full_evidence bad = good;
  bad.consumer[1] = NAN;
  assert_failure(rank_full("magnitude", &bad, 0), ESP_NUMERIC, "ffn.7");
  bad = good;
  bad.producer[0] = INFINITY;
  assert_failure(rank_full("magnitude", &bad, 0), ESP_NUMERIC, "producer norm");
}

static void magnitude_rejects_an_overflowing_product(void **state) {
  (void)state;
  full_evidence bad = good;
  bad.producer[0] = bad.consumer[0] = 1e200;
  assert_failure(rank_full("magnitude", &bad, 0), ESP_NUMERIC, "product");
}

static void mi_rejects_nan(void **state) {
  (void)state;
  full_evidence bad = good;
  bad.information[3] = NAN;
  assert_failure(rank_full("mi", &bad, 0), ESP_NUMERIC, "information");
}

static void assert_set_mi_rejects(const full_evidence *bad, double ridge, const char *part) {
  assert_failure(rank_full("set-mi", bad, ridge), ESP_NUMERIC, part);
  assert_failure(rank_full("set-mi-forward", bad, ridge), ESP_NUMERIC, part);
}

static void set_mi_rejects_nan(void **state) {
  (void)state;
  full_evidence bad[3] = {good, good, good};
  bad[0].covariance[2] = NAN;
  bad[1].map[1] = -INFINITY;
  bad[2].scale[0] = NAN;
  assert_set_mi_rejects(&bad[0], 1e-4, "covariance");
  assert_set_mi_rejects(&bad[1], 1e-4, "map");
  assert_set_mi_rejects(&bad[2], 1e-4, "output scale");
}

static void set_mi_rejects_a_bad_ridge(void **state) {
  (void)state;
  assert_set_mi_rejects(&good, NAN, "ridge");
  assert_set_mi_rejects(&good, -1, "ridge");
}

static void set_mi_rejects_a_negative_variance(void **state) {
  (void)state;
  full_evidence bad = good;
  bad.covariance[3] = -0.5;
  assert_set_mi_rejects(&bad, 1e-4, "variances");
}

static void output_scale_rejects_nan(void **state) {
  (void)state;
  full_evidence bad = good;
  bad.covariance[0] = NAN;
  const esp_evidence evidence = {.site = "s",
                                 .units = 2,
                                 .width = 1,
                                 .outputs = 2,
                                 .covariance = bad.covariance,
                                 .map = bad.map};
  double scale[2];
  assert_failure(esp_compute_output_scale(&evidence, scale), ESP_NUMERIC, "covariance");
}

ESP_TEST_MAIN(cmocka_unit_test(criterion_find_gives_every_row_of_the_table),
              cmocka_unit_test(criterion_find_names_the_nearest),
              cmocka_unit_test(criteria_need_what_they_read),
              cmocka_unit_test(block_criteria_keep_what_differs_most),
              cmocka_unit_test(block_criteria_refuse_a_nan),
              cmocka_unit_test(rank_by_score_breaks_ties_by_lowest_index),
              cmocka_unit_test(random_is_the_permutation_of_seed_and_stream),
              cmocka_unit_test(random_differs_by_seed_and_by_stream),
              cmocka_unit_test(random_scores_agree_with_the_order),
              cmocka_unit_test(magnitude_ranks_by_the_product_of_norms),
              cmocka_unit_test(mi_ranks_by_the_mean_over_outputs),
              cmocka_unit_test(mi_sums_the_features_of_a_unit),
              cmocka_unit_test(mi_without_upper_units_keeps_the_order_of_units),
              cmocka_unit_test(magnitude_rejects_nan),
              cmocka_unit_test(magnitude_rejects_an_overflowing_product),
              cmocka_unit_test(mi_rejects_nan), cmocka_unit_test(set_mi_rejects_nan),
              cmocka_unit_test(set_mi_rejects_a_bad_ridge),
              cmocka_unit_test(set_mi_rejects_a_negative_variance),
              cmocka_unit_test(output_scale_rejects_nan))
