/* Repairs against the numbers of golden/repair.py. */
#include "repair_bench.h"

static bool has_golden_weights(const bench *self, const double *const expected[4],
                               double tolerance) {
  bool same = true;
  for (int w = 0; w < 4; w++)
    same = same && compare(&self->pruned->weights[2 + w], expected[w]) < tolerance;
  return same;
}

static const double *const least_squares_golden[] = {least_squares_weight_1, least_squares_bias_1,
                                                     least_squares_weight_2, least_squares_bias_2};
static const double *const sequential_golden[] = {sequential_weight_1, sequential_bias_1,
                                                  sequential_weight_2, sequential_bias_2};

static void repair_least_squares_gives_the_golden_weights(void **state) {
  (void)state;
  bench self = open_golden();
  ASSERT_ALL(apply(&self, "least-squares", GOLDEN_RIDGE) == ESP_OK);
  ASSERT_ALL(has_golden_weights(&self, least_squares_golden, 2e-6));
  close_bench(&self);
}

static void repair_sequential_gives_the_golden_weights(void **state) {
  (void)state;
  bench self = open_golden();
  ASSERT_ALL(apply(&self, "sequential", GOLDEN_RIDGE) == ESP_OK);
  ASSERT_ALL(has_golden_weights(&self, sequential_golden, 2e-6));
  close_bench(&self);
}

static void repair_sequential_reports_the_golden_choice(void **state) {
  (void)state;
  bench self = open_golden();
  ASSERT_ALL(apply(&self, "sequential", GOLDEN_RIDGE) == ESP_OK);
  for (int stage = 0; stage < STAGES; stage++) {
    const double *golden = sequential_choice + 4 * stage;
    ASSERT_ALL(get_choice(&self, stage).ridge == golden[0]);
    ASSERT_ALL(get_choice(&self, stage).step == golden[1]);
    ASSERT_ALL(fabs(get_choice(&self, stage).error_before - golden[2]) < 1e-6);
    ASSERT_ALL(fabs(get_choice(&self, stage).error_after - golden[3]) < 1e-6);
  }
  close_bench(&self);
}

static void repair_sequential_without_held_out_samples_keeps_the_least_squares(void **state) {
  (void)state;
  write_files(golden_samples);
  bench self = open_bench(&test_comm, golden_samples);
  cut(&self, golden_kept, golden_counts);
  ASSERT_ALL(apply(&self, "sequential", GOLDEN_RIDGE) == ESP_OK);
  ASSERT_ALL(compare(&self.pruned->weights[2], least_squares_weight_1) < 1e-5);
  ASSERT_ALL(compare(&self.pruned->weights[4], least_squares_weight_2) < 1e-5);
  ASSERT_ALL(get_choice(&self, 0).ridge == 0);
  close_bench(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(repair_least_squares_gives_the_golden_weights),
              cmocka_unit_test(repair_sequential_gives_the_golden_weights),
              cmocka_unit_test(repair_sequential_reports_the_golden_choice),
              cmocka_unit_test(repair_sequential_without_held_out_samples_keeps_the_least_squares))
