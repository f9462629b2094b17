/* Learning rates, by hand: in the middle of a step, of 10 steps from 0.5 to 9.5. */
#include "unit.h"

#include "schedule.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static double rate_of(const char *name, double warmup, int64_t n, int64_t step) {
  schedule_shape shape = {.rate = 2.0, .warmup = warmup, .n = n};
  assert_int_equal(schedule_find(name, &shape.form), ESP_OK);
  return schedule_compute_rate(&shape, step);
}

static void check(const char *name, double warmup, int64_t step, double expected) {
  const double found = rate_of(name, warmup, 10, step);
  if (!(fabs(found - expected) < 1e-12))
    fail_msg("%s: %.15g, expected %.15g", name, found, expected);
}

static const char *const names[] = {"cosine", "linear", "constant", "inverse-sqrt"};

/* 4 of 10 steps: 0.5 / 4, ..., 3.5 / 4 of the peak. */
static void schedule_warms_up_linearly(void **state) {
  (void)state;
  for (size_t i = 0; i < ESP_COUNT(names); i++)
    for (int64_t step = 0; step < 4; step++)
      check(names[i], 0.4, step, 2.0 * ((double)step + 0.5) / 4.0);
}

/* Of the 6 steps behind the warm-up, 4.5 is at 1/12, 7.5 at 7/12. */
static void schedule_falls_linearly(void **state) {
  (void)state;
  check("linear", 0.4, 4, 2.0 * 11.0 / 12.0);
  check("linear", 0.4, 7, 2.0 * 5.0 / 12.0);
  check("linear", 0.4, 9, 2.0 * 1.0 / 12.0);
  check("linear", 0.0, 0, 2.0 * 0.95);
}

/* Step 6.5 of 3 to 10: half of the way, cos(pi / 2) = 0. */
static void schedule_falls_as_half_a_cosine(void **state) {
  (void)state;
  check("cosine", 0.3, 6, 1.0);
  check("cosine", 0.0, 2, 1.0 + cos(3.141592653589793 / 4.0));
  check("cosine", 0.0, 7, 1.0 - cos(3.141592653589793 / 4.0));
}

static void check_to(const char *name, double last, int64_t step, double expected) {
  schedule_shape shape = {.rate = 2.0, .warmup = 0.4, .last = last, .n = 10};
  assert_int_equal(schedule_find(name, &shape.form), ESP_OK);
  assert_true(fabs(schedule_compute_rate(&shape, step) - expected) < 1e-12);
}

/* A quarter of 2, and three quarters of what it is at 0; the warm-up and schedules without an end
 * stay as they are. */
static void schedule_ends_at_a_part_of_the_peak(void **state) {
  (void)state;
  check_to("linear", 0.25, 7, 0.5 + 1.5 * 5.0 / 12.0);
  check_to("cosine", 0.25, 6, 0.5 + 0.75 * (1.0 + cos(3.141592653589793 * 5.0 / 12.0)));
  check_to("linear", 1.0, 9, 2.0);
  check_to("linear", 0.25, 0, 2.0 * 0.5 / 4.0);
  check_to("constant", 0.25, 9, 2.0);
  check_to("inverse-sqrt", 0.25, 9, 2.0 * sqrt(4.0 / 9.5));
}

static void schedule_stays(void **state) {
  (void)state;
  check("constant", 0.0, 0, 2.0);
  check("constant", 0.4, 4, 2.0);
  check("constant", 0.4, 9, 2.0);
}

/* 4 warm steps: at 4.5 sqrt(4 / 4.5) of the peak, at 9.5 sqrt(4 / 9.5). Without warm-up the first
 * step counts as one. */
static void schedule_falls_by_the_root_of_the_step(void **state) {
  (void)state;
  check("inverse-sqrt", 0.4, 4, 2.0 * sqrt(4.0 / 4.5));
  check("inverse-sqrt", 0.4, 9, 2.0 * sqrt(4.0 / 9.5));
  check("inverse-sqrt", 0.0, 0, 2.0);
  check("inverse-sqrt", 0.0, 3, 2.0 / sqrt(3.5));
}

static bool is_sane(const char *name, double warmup, int64_t n) {
  double before = 0.0;
  bool falls = false, sane = true;
  for (int64_t step = 0; step < n; step++) {
    const double rate = rate_of(name, warmup, n, step);
    sane = sane && rate > 0.0 && rate <= 2.0 && (!falls || rate <= before);
    falls = falls || rate < before;
    before = rate;
  }
  return sane;
}

/* Above zero, no higher than the peak, up and then down. */
static void schedule_has_no_surprises(void **state) {
  (void)state;
  static const double warmups[] = {0.0, 0.001, 0.05, 0.5, 0.999};
  static const int64_t steps[] = {1, 2, 7, 1000};
  for (size_t i = 0; i < ESP_COUNT(names); i++)
    for (size_t w = 0; w < ESP_COUNT(warmups); w++)
      for (size_t n = 0; n < ESP_COUNT(steps); n++)
        assert_true(is_sane(names[i], warmups[w], steps[n]));
}

static void schedule_find_names_the_known_ones(void **state) {
  (void)state;
  const schedule *found;
  assert_failure(schedule_find("stairs", &found), ESP_USAGE, "inverse-sqrt");
}

ESP_TEST_MAIN(cmocka_unit_test(schedule_warms_up_linearly),
              cmocka_unit_test(schedule_falls_linearly),
              cmocka_unit_test(schedule_falls_as_half_a_cosine),
              cmocka_unit_test(schedule_ends_at_a_part_of_the_peak),
              cmocka_unit_test(schedule_stays),
              cmocka_unit_test(schedule_falls_by_the_root_of_the_step),
              cmocka_unit_test(schedule_has_no_surprises),
              cmocka_unit_test(schedule_find_names_the_known_ones))
