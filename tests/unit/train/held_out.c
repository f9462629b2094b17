/* When a change of the held-out loss counts: worked out by hand. */
#include "unit.h"

#include "held_out.h"

#include <math.h>

enum { N = 4, NAT = 1 << 20 };

/* n micro-batches of two targets each, whose losses were 10 nats and change. */
static train_held_out new_held_out(int64_t n, const int *change, int64_t *now, int64_t *before) {
  for (int64_t i = 0; i < n; i++) {
    before[2 * i] = 10 * NAT;
    now[2 * i] = (10 + change[i]) * NAT;
    before[2 * i + 1] = now[2 * i + 1] = 2;
  }
  return (train_held_out){
      .shard = {.n_batches = n}, .targets = 2 * n, .unit = 1.0, .now = now, .before = before};
}

/* -12 nats of 8 targets; a nat above or below in each: sqrt(4 / 3 * 4) / 8. */
static void a_change_has_the_error_of_a_ratio(void **state) {
  (void)state;
  int64_t now[2 * N], before[2 * N];
  const train_held_out self = new_held_out(N, (const int[N]){-4, -2, -4, -2}, now, before);
  const held_out_change change = held_out_compare_local(&self);
  assert_true(fabs(change.mean + 1.5) < 1e-12);
  assert_true(fabs(change.error - sqrt(16.0 / 3.0) / 8.0) < 1e-12);
  assert_true(held_out_is_clear_local(&self));
}

static void a_change_within_the_noise_is_not_clear(void **state) {
  (void)state;
  int64_t now[2 * N], before[2 * N];
  const train_held_out self = new_held_out(N, (const int[N]){-4, 2, -4, 2}, now, before);
  assert_true(held_out_compare_local(&self).mean < 0.0);
  assert_false(held_out_is_clear_local(&self));
}

static void no_change_is_not_clear(void **state) {
  (void)state;
  int64_t now[2 * N], before[2 * N];
  const train_held_out self = new_held_out(N, (const int[N]){0, 0, 0, 0}, now, before);
  assert_false(held_out_is_clear_local(&self));
}

static void one_micro_batch_counts_as_it_is(void **state) {
  (void)state;
  int64_t now[2], before[2];
  const train_held_out better = new_held_out(1, (const int[1]){-1}, now, before);
  assert_true(isinf(held_out_compare_local(&better).error));
  assert_true(held_out_is_clear_local(&better));
  const train_held_out worse = new_held_out(1, (const int[1]){1}, now, before);
  assert_false(held_out_is_clear_local(&worse));
}

/* In the unit of squared errors. */
static void a_change_has_the_unit_of_the_loss(void **state) {
  (void)state;
  int64_t now[2 * N], before[2 * N];
  train_held_out self = new_held_out(N, (const int[N]){-4, -2, -4, -2}, now, before);
  self.unit = 0.25;
  assert_true(fabs(held_out_compare_local(&self).mean + 0.375) < 1e-12);
}

ESP_TEST_MAIN(cmocka_unit_test(a_change_has_the_error_of_a_ratio),
              cmocka_unit_test(a_change_within_the_noise_is_not_clear),
              cmocka_unit_test(no_change_is_not_clear),
              cmocka_unit_test(one_micro_batch_counts_as_it_is),
              cmocka_unit_test(a_change_has_the_unit_of_the_loss))
