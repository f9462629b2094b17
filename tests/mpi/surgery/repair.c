#include "repair_bench.h"

static void repair_none_leaves_the_cut_weights(void **state) {
  (void)state;
  bench self = open_golden();
  ASSERT_ALL(apply(&self, "none", GOLDEN_RIDGE) == ESP_OK);
  load_all(&self);
  const float *w = self.pruned->weights[2].value, *b = self.pruned->weights[5].value;
  bool same = memcmp(b, golden_bias_2, sizeof golden_bias_2) == 0;
  for (int64_t i = 0; i < golden_counts[1]; i++)
    for (int64_t j = 0; j < golden_counts[0]; j++)
      same = same && w[i * golden_counts[0] + j] ==
                         golden_weight_1[golden_kept_1[i] * MOST_UNITS + golden_kept_0[j]];
  ASSERT_ALL(same);
  close_bench(&self);
}

static double naive_mean(const bench *self, int stage, int64_t unit) {
  double x[golden_samples * MOST_UNITS], sum = 0;
  small_forward(self->dense, self->data, stage, NULL, x);
  for (int64_t s = 0; s < golden_samples; s++) sum += x[s * every_count[stage] + unit];
  return sum / golden_samples;
}

static bool is_kept(int stage, int64_t unit) {
  for (int64_t k = 0; k < golden_counts[stage]; k++)
    if (golden_kept[stage][k] == unit) return true;
  return false;
}

static void repair_bias_adds_what_the_removed_units_gave_on_average(void **state) {
  (void)state;
  bench self = open_golden();
  ASSERT_ALL(apply(&self, "bias", GOLDEN_RIDGE) == ESP_OK);
  load_all(&self);
  double expected[OUTPUTS];
  for (int o = 0; o < OUTPUTS; o++) {
    expected[o] = golden_bias_2[o];
    for (int64_t u = 0; u < every_count[1]; u++)
      if (!is_kept(1, u)) expected[o] += golden_weight_2[o * 8 + u] * naive_mean(&self, 1, u);
  }
  ASSERT_ALL(compare(&self.pruned->weights[5], expected) < 1e-6);
  ASSERT_ALL(fabs(expected[0] - golden_bias_2[0]) > 1e-3);
  ASSERT_ALL(self.pruned->weights[4].value[1] == golden_weight_2[golden_kept_1[1]]);
  close_bench(&self);
}

static void repair_sequential_is_never_worse_on_held_out_samples(void **state) {
  (void)state;
  static const int64_t few[] = {1, 4}, many[] = {0, 1, 2, 3, 4, 5, 6};
  static const int64_t *const kept[][STAGES] = {{few, many}, {many, few}, {few, few}};
  static const int64_t counts[][STAGES] = {{2, 7}, {7, 2}, {2, 2}};
  write_files(golden_batch);
  for (unsigned i = 0; i < ESP_COUNT(kept); i++) {
    bench self = open_bench(&test_comm, golden_batch);
    cut(&self, kept[i], counts[i]);
    ASSERT_ALL(apply(&self, "sequential", GOLDEN_RIDGE) == ESP_OK);
    for (int stage = 0; stage < STAGES; stage++) {
      const double before = get_choice(&self, stage).error_before;
      const double after = get_choice(&self, stage).error_after;
      ASSERT_ALL(before > 0 && after > 0 && after <= before);
    }
    close_bench(&self);
  }
}

static void repair_that_keeps_all_units_leaves_the_outputs(void **state) {
  (void)state;
  static const char *const names[] = {"none", "bias", "least-squares", "sequential"};
  write_files(golden_batch);
  for (unsigned i = 0; i < ESP_COUNT(names); i++) {
    double dense[golden_samples * OUTPUTS], pruned[golden_samples * OUTPUTS], worst = 0;
    bench self = open_bench(&test_comm, golden_batch);
    cut(&self, every_unit, every_count);
    ASSERT_ALL(apply(&self, names[i], 1e-6) == ESP_OK);
    load_all(&self);
    small_forward(self.dense, self.data, STAGES, NULL, dense);
    small_forward(self.pruned, self.data, STAGES, NULL, pruned);
    for (int s = 0; s < golden_samples * OUTPUTS; s++)
      worst = fmax(worst, fabs(pruned[s] - dense[s]));
    ASSERT_ALL(worst < 1e-4);
    close_bench(&self);
  }
}

/* True iff all ranks together get what each gets alone, to 1e-5 of the largest weight. */
static bool agrees_with_alone(const char *name, int64_t micro_batch) {
  esp_comm alone;
  esp_comm_init_local(&alone);
  write_files(micro_batch);
  bench dealt = open_bench(&test_comm, micro_batch), whole = open_bench(&alone, micro_batch);
  cut(&dealt, golden_kept, golden_counts);
  cut(&whole, golden_kept, golden_counts);
  bool same = apply(&whole, name, 1e-3) == ESP_OK;
  same = apply(&dealt, name, 1e-3) == ESP_OK && same;
  for (int w = 2; w < dealt.dense->n_weights; w++) {
    const esp_weight *mine = &dealt.pruned->weights[w], *other = &whole.pruned->weights[w];
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < esp_weight_count(mine); i++) {
      worst = fmax(worst, fabs((double)mine->value[i] - other->value[i]));
      largest = fmax(largest, fabs(other->value[i]));
    }
    same = same && worst <= 1e-5 * largest;
  }
  close_bench(&whole);
  close_bench(&dealt);
  esp_comm_clear(&alone);
  return same;
}

static void repair_agrees_with_one_rank(void **state) {
  (void)state;
  ASSERT_ALL(agrees_with_alone("least-squares", golden_batch));
  ASSERT_ALL(agrees_with_alone("sequential", golden_batch));
}

static void repair_sequential_takes_fewer_micro_batches_than_ranks(void **state) {
  (void)state;
  ASSERT_ALL(agrees_with_alone("sequential", golden_samples / 2));
  ASSERT_ALL(agrees_with_alone("sequential", golden_samples)); // nothing to hold out
}

/* Activations all but 1: what varies is below the rounding of their moments, and small ridges fail.
 */
static void repair_sequential_passes_over_ridges_that_are_too_small(void **state) {
  (void)state;
  write_model(5);
  write_stats(golden_samples / 2, true);
  bench self = open_bench(&test_comm, golden_samples / 2);
  cut(&self, golden_kept, golden_counts);
  ASSERT_ALL(apply(&self, "sequential", 1000) == ESP_OK);
  for (int i = 0; i < STAGES; i++)
    ASSERT_ALL(get_choice(&self, i).error_after <= get_choice(&self, i).error_before);
  close_bench(&self);
}

static void drop_bias(bench *self, int stage) {
  self->dense->stages[stage].consumer.bias = -1;
  self->pruned->stages[stage].consumer.bias = -1;
}

/* Without a bias E[x_K (W x - W' x_K)^T] = ridge mean(E[x_K^2]) W'^T, moments about 0. */
static double compute_gradient(const double *x, const float *w, int64_t out, int64_t k) {
  double sum = 0, diagonal = 0;
  for (int64_t s = 0; s < golden_samples; s++, x += 8) {
    double rest = 0;
    for (int64_t u = 0; u < 8; u++) rest += golden_weight_2[out * 8 + u] * x[u];
    for (int64_t j = 0; j < 5; j++) rest -= w[out * 5 + j] * x[golden_kept_1[j]];
    for (int64_t j = 0; j < 5; j++) diagonal += x[golden_kept_1[j]] * x[golden_kept_1[j]] / 5;
    sum += rest * x[golden_kept_1[k]];
  }
  return (sum - GOLDEN_RIDGE * diagonal * w[out * 5 + k]) / golden_samples;
}

static void repair_least_squares_without_bias_fits_uncentred_moments(void **state) {
  (void)state;
  double x[golden_samples * 8], worst = 0;
  bench self = open_golden();
  drop_bias(&self, 1);
  ASSERT_ALL(apply(&self, "least-squares", GOLDEN_RIDGE) == ESP_OK);
  load_all(&self);
  small_forward(self.dense, self.data, 1, NULL, x);
  for (int64_t i = 0; i < OUTPUTS * 5; i++)
    worst = fmax(worst, fabs(compute_gradient(x, self.pruned->weights[4].value, i / 5, i % 5)));
  ASSERT_ALL(worst < 1e-6);
  close_bench(&self);
}

static void repair_bias_without_a_bias_is_usage(void **state) {
  (void)state;
  bench self = open_golden();
  drop_bias(&self, 1);
  ASSERT_ALL(apply(&self, "bias", GOLDEN_RIDGE) == ESP_USAGE);
  ASSERT_ALL(strstr(esp_failure_text(), "'hidden.1' has a consumer without bias") != NULL);
  close_bench(&self);
}

static void repair_without_covariances_is_format(void **state) {
  (void)state;
  static const char *const names[] = {"least-squares", "sequential"};
  write_model(0);
  write_stats(golden_batch, false);
  for (unsigned i = 0; i < ESP_COUNT(names); i++) {
    bench self = open_bench(&test_comm, golden_batch);
    cut(&self, golden_kept, golden_counts);
    ASSERT_ALL(apply(&self, names[i], GOLDEN_RIDGE) == ESP_FORMAT);
    ASSERT_ALL(strstr(esp_failure_text(), "/hidden.0/covariance") != NULL);
    close_bench(&self);
  }
}

/* The last rank alone sees NaN in a stored weight of the dense model. */
static bool fails_with_a_bad_rank(const char *name, int weight, const char *part) {
  float bad[MOST_UNITS * MOST_UNITS];
  for (unsigned i = 0; i < ESP_COUNT(bad); i++) bad[i] = NAN;
  bench self = open_golden();
  if (test_comm.rank == test_comm.size - 1) self.dense->weights[weight].stored = bad;
  const esp_status status = apply(&self, name, GOLDEN_RIDGE);
  const bool failed = status == ESP_NUMERIC && strstr(esp_failure_text(), part);
  close_bench(&self);
  return failed;
}

static void repair_with_nan_on_one_rank_is_numeric_on_all(void **state) {
  (void)state;
  ASSERT_ALL(fails_with_a_bad_rank("bias", 2, "layers.1.weight"));
  ASSERT_ALL(fails_with_a_bad_rank("least-squares", 4, "layers.2.weight"));
  ASSERT_ALL(fails_with_a_bad_rank("sequential", 0, "layers.0.weight"));
}

static void repair_find_of_an_unknown_name_lists_the_known(void **state) {
  (void)state;
  const esp_repair *repair = NULL;
  ASSERT_ALL(esp_repair_find("least-square", &repair) == ESP_USAGE && !repair);
  ASSERT_ALL(strstr(esp_failure_text(), "did you mean least-squares") != NULL);
  for (int i = 0; esp_repairs[i]; i++)
    ASSERT_ALL(strstr(esp_failure_text(), esp_repairs[i]->name) != NULL);
}

ESP_TEST_MAIN(cmocka_unit_test(repair_none_leaves_the_cut_weights),
              cmocka_unit_test(repair_bias_adds_what_the_removed_units_gave_on_average),
              cmocka_unit_test(repair_sequential_is_never_worse_on_held_out_samples),
              cmocka_unit_test(repair_that_keeps_all_units_leaves_the_outputs),
              cmocka_unit_test(repair_agrees_with_one_rank),
              cmocka_unit_test(repair_sequential_takes_fewer_micro_batches_than_ranks),
              cmocka_unit_test(repair_sequential_passes_over_ridges_that_are_too_small),
              cmocka_unit_test(repair_least_squares_without_bias_fits_uncentred_moments),
              cmocka_unit_test(repair_bias_without_a_bias_is_usage),
              cmocka_unit_test(repair_without_covariances_is_format),
              cmocka_unit_test(repair_with_nan_on_one_rank_is_numeric_on_all),
              cmocka_unit_test(repair_find_of_an_unknown_name_lists_the_known))
