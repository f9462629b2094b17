#include "unit.h"

#include "espalier/sweep/cost.h"

/* 3 x 2 pairs of 4 bins: 54 cells; the busier of two ranks has 2 words. */
static const int64_t two[] = {2, 1}, one[] = {3};
static const esp_sweep_shape plain = {.x_units = 3,
                                      .y_units = 2,
                                      .x_bins = 4,
                                      .y_bins = 4,
                                      .reduce = ESP_REDUCE_ALLREDUCE,
                                      .samples = 180,
                                      .ranks = 2,
                                      .words = two};

static esp_sweep_shape make_own(void) {
  esp_sweep_shape own = plain;
  own.y_units = own.x_units;
  own.is_symmetric = true;
  return own;
}

static void esp_sweep_add_information_cost_of_a_few_pairs(void **state) {
  (void)state;
  esp_cost cost = {0};
  esp_sweep_add_information_cost(&plain, &cost);
  assert_true(cost.traffic[ESP_IALLREDUCE] == 4.0 * 54.0);
  assert_true(cost.traffic[ESP_ALLREDUCE] == 8.0 * 15.0 + 4.0 * 6.0); // marginals, the result
  assert_true(cost.work.words == 54.0 * 2.0 && cost.work.reduced == 4.0 * 54.0);
  assert_true(cost.peak_bytes == 8.0 * 181.0 + 4.0 * 6.0 && cost.kept_bytes == 0.0);
}

static void esp_sweep_add_information_cost_by_exchange(void **state) {
  (void)state;
  esp_sweep_shape shape = plain;
  shape.reduce = ESP_REDUCE_EXCHANGE;
  const esp_sweep_cost sweep = esp_sweep_compute_cost(&shape);
  esp_cost cost = {0};
  esp_sweep_add_information_cost(&shape, &cost);
  assert_true(cost.traffic[ESP_IALLREDUCE] == 0.0);
  assert_true(cost.traffic[ESP_EXCHANGE] == sweep.exchanged_bytes && sweep.exchanged_bytes > 0.0);
  assert_true(cost.peak_bytes == 8.0 * 181.0 + sweep.panel_bytes);
}

static void esp_sweep_costs_send_nothing_alone(void **state) {
  (void)state;
  esp_sweep_shape alone = make_own();
  alone.ranks = 1;
  alone.words = one;
  esp_cost cost = {0};
  esp_sweep_add_information_cost(&alone, &cost);
  esp_sweep_add_conditional_cost(&alone, 2, &cost);
  esp_sweep_add_correlation_cost(&alone, &cost);
  esp_sweep_add_matched_cost(&alone, &cost);
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) assert_true(cost.traffic[i] == 0.0);
  assert_true(cost.work.words > 0.0);
}

static void esp_sweep_add_conditional_cost_is_a_sweep_a_bin_and_target(void **state) {
  (void)state;
  const esp_sweep_shape own = make_own();
  esp_cost none = {0}, first = {0}, second = {0};
  esp_sweep_add_conditional_cost(&own, 0, &none);
  esp_sweep_add_conditional_cost(&own, 1, &first);
  esp_sweep_add_conditional_cost(&own, 3, &second);
  assert_true(none.work.words == 0.0 && none.traffic[ESP_IALLREDUCE] == 0.0);
  assert_true(second.work.words == 3.0 * first.work.words);
  assert_true(first.traffic[ESP_IALLREDUCE] == 4.0 * 4.0 * 9.0 * 9.0); // bins, cells
  assert_true(second.peak_bytes == first.peak_bytes);
}

static void esp_sweep_add_correlation_cost_gives_one_rank_all(void **state) {
  (void)state;
  const esp_sweep_shape own = make_own();
  esp_cost cost = {0};
  esp_sweep_add_correlation_cost(&own, &cost);
  assert_true(cost.traffic[ESP_IALLREDUCE] == 4.0 * 81.0);
  assert_true(cost.traffic[ESP_ALLREDUCE] == 2.0 * 8.0 * 9.0);
  assert_true(cost.peak_bytes == 0.0);
}

static void esp_sweep_add_matched_cost_is_a_pair_a_unit(void **state) {
  (void)state;
  const esp_sweep_shape own = make_own();
  esp_cost cost = {0};
  esp_sweep_add_matched_cost(&own, &cost);
  assert_true(cost.traffic[ESP_ALLREDUCE] == 4.0 * 27.0 + 2.0 * 8.0 * 9.0);
  assert_true(cost.work.words == 27.0 * 2.0);
}

static void esp_sweep_add_ways_puts_both_side_by_side(void **state) {
  (void)state;
  const esp_sweep_shape own = make_own();
  esp_sweep_ways ways = {0};
  esp_sweep_add_ways(&plain, 0, &ways);
  assert_true(ways.sweeps == 1.0 && ways.exchanges == 0.0);
  assert_true(ways.allreduce_bytes == 4.0 * 54.0 && ways.exchange_bytes > 0.0);
  assert_true(ways.allreduce.words == 54.0 * 2.0);
  esp_sweep_add_ways(&own, 5, &ways);
  assert_true(ways.sweeps == 1.0 + 5.0 * 4.0);
}

static void esp_sweep_choose_takes_what_is_asked(void **state) {
  (void)state;
  esp_sweep_shape shape = plain;
  const esp_reduce ways[] = {ESP_REDUCE_ALLREDUCE, ESP_REDUCE_EXCHANGE};
  for (size_t i = 0; i < ESP_COUNT(ways); i++) {
    shape.reduce = ways[i];
    assert_int_equal(esp_sweep_choose(&shape), ways[i]);
  }
}

/* A kernel counts fewer than 2^31 samples. */
static void esp_sweep_choose_splits_samples_that_no_kernel_counts(void **state) {
  (void)state;
  const int64_t words[] = {INT32_MAX / 64, 1};
  esp_sweep_shape shape = plain;
  shape.words = words;
  shape.reduce = ESP_REDUCE_EXCHANGE;
  assert_int_equal(esp_sweep_choose(&shape), ESP_REDUCE_ALLREDUCE);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_sweep_add_information_cost_of_a_few_pairs),
              cmocka_unit_test(esp_sweep_add_information_cost_by_exchange),
              cmocka_unit_test(esp_sweep_costs_send_nothing_alone),
              cmocka_unit_test(esp_sweep_add_conditional_cost_is_a_sweep_a_bin_and_target),
              cmocka_unit_test(esp_sweep_add_correlation_cost_gives_one_rank_all),
              cmocka_unit_test(esp_sweep_add_matched_cost_is_a_pair_a_unit),
              cmocka_unit_test(esp_sweep_add_ways_puts_both_side_by_side),
              cmocka_unit_test(esp_sweep_choose_takes_what_is_asked),
              cmocka_unit_test(esp_sweep_choose_splits_samples_that_no_kernel_counts))
