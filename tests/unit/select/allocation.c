#include "unit.h"

#include "espalier/select/allocation.h"

#include <math.h>
#include <string.h>

enum { A = 4, B = 3 };

/* Two sites on matrices of their own: a unit of `a` has 10 parameters, of `b` 20. */
static const esp_allocation_matrix own[] = {{{0, -1}, {0, 10}, {1, 0}}, {{1, -1}, {0, 20}, {1, 0}}};
/* One matrix between the two. */
static const esp_allocation_matrix between[] = {{{0, 1}, {0, 0}, {1, 1}}};

static const int64_t order_a[] = {2, 0, 3, 1}, order_b[] = {0, 1, 2};
static const double score_a[] = {3, 1, 8, 2}, score_b[] = {90, 50, 30};

typedef struct bench {
  esp_allocation_site sites[2];
  esp_allocation_job job;
} bench;

static void init(bench *self, double sparsity) {
  const esp_budget_rule rule = {sparsity, 1, 1};
  *self = (bench){.sites = {{.name = "a",
                             .units = A,
                             .per_group = 1,
                             .rule = rule,
                             .order = order_a,
                             .score = score_a},
                            {.name = "b",
                             .units = B,
                             .per_group = 1,
                             .rule = rule,
                             .order = order_b,
                             .score = score_b}}};
  self->job = (esp_allocation_job){.sparsity = sparsity,
                                   .max_sparsity = 1,
                                   .is_in_nats = true,
                                   .n_sites = 2,
                                   .n_matrices = 2,
                                   .sites = self->sites,
                                   .matrices = own};
}

static esp_status apply(bench *self, const char *name) {
  const esp_allocation *allocation = NULL;
  assert_int_equal(esp_allocation_find(name, &allocation), ESP_OK);
  return allocation->apply(&self->job);
}

static void check_kept(const bench *self, int64_t a, int64_t b) {
  assert_int_equal(self->sites[0].n_kept, a);
  assert_int_equal(self->sites[1].n_kept, b);
}

static void allocation_find_of_an_unknown_name_is_usage(void **state) {
  (void)state;
  const esp_allocation *allocation = NULL;
  assert_int_equal(esp_allocation_find("globel", &allocation), ESP_USAGE);
  assert_non_null(strstr(esp_failure_text(), "global"));
}

static void allocation_count_multiplies_both_sites(void **state) {
  (void)state;
  bench self;
  const int64_t units[] = {4, 3}, fewer[] = {2, 1};
  init(&self, 0);
  assert_int_equal(esp_allocation_count(&self.job, units), 4 * 10 + 3 * 20);
  self.job.matrices = between;
  self.job.n_matrices = 1;
  assert_int_equal(esp_allocation_count(&self.job, units), 12);
  assert_int_equal(esp_allocation_count(&self.job, fewer), 2);
}

static void uniform_gives_every_site_the_same_fraction_of_units(void **state) {
  (void)state;
  bench self;
  init(&self, 0.5);
  assert_int_equal(apply(&self, "uniform"), ESP_OK);
  check_kept(&self, 2, 2); // 1.5 rounds up
  assert_true(fabs(self.job.got - 0.4) < 1e-9);
}

/* Prices a parameter: a .1 .2 .3 .8, b 1.5 2.5 4.5. */
static void global_takes_the_cheapest_parameters(void **state) {
  (void)state;
  bench self;
  init(&self, 0.5);
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 1, 2); // 30 of 100, then 20 more
  assert_true(fabs(self.job.got - 0.5) < 1e-9);
  assert_true(fabs(self.job.threshold - 1.5) < 1e-9);
}

static void global_ends_at_the_nearest_step(void **state) {
  (void)state;
  bench self;
  init(&self, 0.39);
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 1, 3); // 0.3 is nearer than 0.5
  init(&self, 0.41);
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 1, 2);
}

static void global_of_zero_keeps_all(void **state) {
  (void)state;
  bench self;
  init(&self, 0);
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 4, 3);
  assert_true(self.job.got == 0);
}

static void global_never_takes_more_of_a_site_than_its_cap(void **state) {
  (void)state;
  bench self;
  init(&self, 0.4);
  self.job.max_sparsity = 0.5;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 2, 2); // two of four; at least 1.5 of three stay
}

static void global_keeps_multiples_and_the_least(void **state) {
  (void)state;
  bench self;
  init(&self, 0.4);
  self.sites[0].rule.multiple_of = 2;
  self.sites[1].rule.min_keep = 2;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 2, 2); // 2 of a, (1 + 2) / 20 each; then one of b
}

static void global_leaves_fixed_sites_at_their_own_sparsity(void **state) {
  (void)state;
  bench self;
  init(&self, 0.4);
  self.sites[0].is_fixed = true;
  self.sites[0].rule.sparsity = 0;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 4, 1);
}

static void global_without_a_free_site_asks_for_nothing(void **state) {
  (void)state;
  bench self;
  init(&self, 0.5);
  for (int i = 0; i < 2; i++) {
    self.sites[i].is_fixed = true;
    self.sites[i].rule.sparsity = 0.25;
  }
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 3, 2);
}

static void global_that_cannot_be_reached_is_usage(void **state) {
  (void)state;
  bench self;
  init(&self, 0.9);
  self.job.max_sparsity = 0.5;
  assert_int_equal(apply(&self, "global"), ESP_USAGE);
  assert_non_null(strstr(esp_failure_text(), "at most 0.4"));
}

/* Sums 14 and 170: the first of b is 30 / 170 / 20, the first two of a 1 / 14 / 10 and 2 / 14 / 10.
 */
static void global_divides_scores_without_a_unit_by_their_sum(void **state) {
  (void)state;
  bench self;
  init(&self, 0.3);
  self.job.is_in_nats = false;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 3, 2);
  assert_true(fabs(self.job.threshold - 30 / 3400.0) < 1e-9);
}

/* Losses by what b keeps; how often it was asked. */
typedef struct trials {
  const bench *of;
  double loss[B + 1];
  int n;
  esp_status status;
} trials;

static esp_status try_it(void *context, const esp_allocation_job *job, double *loss) {
  trials *self = context;
  (void)job;
  self->n++;
  *loss = self->loss[self->of->sites[1].n_kept];
  return self->status;
}

/* Of a, whose units are half of b's, 1 or 2 more stay where b keeps one less or more. */
static void init_balance(bench *self, trials *tried, double sparsity) {
  init(self, sparsity);
  *tried = (trials){.of = self, .loss = {9, 9, 9, 9}};
  self->sites[0].kind = "fine";
  self->sites[1].kind = "coarse";
  self->job.trial = try_it;
  self->job.context = tried;
}

/* Whether at most so many parameters are left. */
static bool is_within(const void *budget, const esp_allocation_job *job) {
  return 10 * job->sites[0].n_kept + 20 * job->sites[1].n_kept <= *(const int64_t *)budget;
}

/* 2 steps of a are nearer to 0.21 than 3. */
static void global_takes_the_fewest_steps_that_meet_a_budget(void **state) {
  (void)state;
  bench self;
  const int64_t most = 79;
  init(&self, 0.21);
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 2, 3);
  self.job.is_enough = is_within;
  self.job.budget = &most;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 1, 3);
  assert_true(fabs(self.job.threshold - 0.3) < 1e-9 && fabs(self.job.got - 0.3) < 1e-9);
  assert_true(self.job.all == 100.0);
}

static void global_of_a_budget_out_of_reach_takes_all_steps(void **state) {
  (void)state;
  bench self;
  const int64_t most = 1;
  init(&self, 0.2);
  self.job.is_enough = is_within;
  self.job.budget = &most;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 1, 1);
}

static void balanced_meets_a_budget_at_every_count_it_tries(void **state) {
  (void)state;
  bench self;
  trials tried;
  const int64_t most = 79;
  for (int best = 2; best <= 3; best++) {
    init_balance(&self, &tried, 0.3);
    self.job.is_enough = is_within;
    self.job.budget = &most;
    tried.loss[best] = 1;
    assert_int_equal(apply(&self, "balanced"), ESP_OK);
    check_kept(&self, best == 2 ? 3 : 1, best);
  }
}

static void balanced_starts_even_and_keeps_that_where_it_loses_least(void **state) {
  (void)state;
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.3);
  tried.loss[2] = 1;
  assert_int_equal(apply(&self, "balanced"), ESP_OK);
  check_kept(&self, 3, 2);
  assert_int_equal(tried.n, 2); // 1 of b would take more than is asked
}

static void balanced_moves_to_the_better_neighbour(void **state) {
  (void)state;
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.3);
  tried.loss[3] = 1;
  assert_int_equal(apply(&self, "balanced"), ESP_OK);
  check_kept(&self, 1, 3);
  assert_true(fabs(self.job.got - 0.3) < 1e-9);
}

/* From 2 of b by 3 to the left end: nothing is tried twice. */
static void balanced_tries_no_count_twice(void **state) {
  (void)state;
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.2);
  tried.loss[3] = 1;
  assert_int_equal(apply(&self, "balanced"), ESP_OK);
  check_kept(&self, 2, 3);
  assert_int_equal(tried.n, 2);
}

static void balanced_of_one_kind_keeps_equally_many_without_a_trial(void **state) {
  (void)state;
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.5);
  self.sites[1] = self.sites[0];
  assert_int_equal(apply(&self, "balanced"), ESP_OK);
  check_kept(&self, 2, 2);
  assert_int_equal(tried.n, 0);
}

static void balanced_leaves_fixed_sites_at_their_own_sparsity(void **state) {
  (void)state;
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.4);
  self.sites[1].is_fixed = true;
  self.sites[1].rule.sparsity = 1 / 3.0;
  assert_int_equal(apply(&self, "balanced"), ESP_OK);
  check_kept(&self, 2, 2); // 20 of b's, and 20 of 40
}

static esp_status lose_least_at_20(void *context, const esp_allocation_job *job, double *loss) {
  trials *self = context;
  (void)job;
  const double off = (double)self->of->sites[1].n_kept - 20;
  self->n++;
  *loss = off * off;
  return ESP_OK;
}

/* 32 heads against 1,024 neurons: by fours from 16, then by twos. */
static void balanced_of_many_counts_tries_few(void **state) {
  (void)state;
  enum { HEADS = 32, NEURONS = 1024 };
  int64_t order[NEURONS];
  const double score[NEURONS] = {0};
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.5);
  for (int i = 0; i < NEURONS; i++) order[i] = i;
  for (int s = 0; s < 2; s++) {
    self.sites[s].units = s == 0 ? NEURONS : HEADS;
    self.sites[s].order = order;
    self.sites[s].score = score;
  }
  self.job.trial = lose_least_at_20;
  assert_int_equal(apply(&self, "balanced"), ESP_OK);
  assert_int_equal(self.sites[1].n_kept, 20);
  assert_true(tried.n >= 5 && tried.n <= 8);
}

static void balanced_ends_where_a_trial_fails(void **state) {
  (void)state;
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.3);
  tried.status = ESP_NUMERIC;
  assert_int_equal(apply(&self, "balanced"), ESP_NUMERIC);
  assert_int_equal(tried.n, 1);
}

static void balanced_removes_as_much_as_the_least_counts_allow(void **state) {
  (void)state;
  bench self;
  trials tried;
  init_balance(&self, &tried, 0.99);
  assert_int_equal(apply(&self, "balanced"), ESP_OK);
  check_kept(&self, 1, 1);
  assert_int_equal(tried.n, 0); // there is no other way
}

static void global_at_more_keeps_no_more_anywhere(void **state) {
  (void)state;
  int64_t last[] = {A, B};
  for (int i = 0; i < 70; i++) {
    bench self;
    init(&self, i / 100.0);
    assert_int_equal(apply(&self, "global"), ESP_OK);
    for (int s = 0; s < 2; s++) {
      assert_true(self.sites[s].n_kept <= last[s]);
      last[s] = self.sites[s].n_kept;
    }
  }
  assert_true(last[0] < A && last[1] < B);
}

/* A step takes one unit of both groups, {0, 1} and {2, 3}: first 1 and 3, for 1 + 2, then 0 and 2.
 */
static void global_takes_groups_a_unit_of_each_at_a_time(void **state) {
  (void)state;
  bench self;
  init(&self, 0.2);
  self.sites[0].per_group = self.sites[0].rule.multiple_of = 2;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 2, 3);
  assert_true(fabs(self.job.threshold - (3 / 20.0)) < 1e-9);
}

static void let_vanish(bench *self) {
  for (int i = 0; i < 2; i++) {
    self->sites[i].may_vanish = true;
    self->sites[i].whole = -1;
  }
}

/* All four steps of a, at .1 to .8, before the first of b. */
static void global_takes_a_whole_site_that_is_cheap(void **state) {
  (void)state;
  bench self;
  init(&self, 0.4);
  let_vanish(&self);
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 0, 3);
  assert_true(fabs(self.job.threshold - 0.8) < 1e-9);
}

static void global_keeps_the_last_unit_where_it_is_dear(void **state) {
  (void)state;
  const double dear[] = {3, 1, 80, 2};
  bench self;
  init(&self, 0.5);
  let_vanish(&self);
  self.sites[0].score = dear; // its last unit costs 8 a parameter, b's first two 1.5 and 2.5
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 1, 2);
}

static void global_takes_no_whole_site_below_a_cap_of_1(void **state) {
  (void)state;
  bench self;
  init(&self, 0.4);
  let_vanish(&self);
  self.job.max_sparsity = 0.99;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 1, 2);
}

/* 30 more parameters go with the last unit of a, which is then cheaper, 8 / 40, than the one before
 * it: they go together, (3 + 8) / 50. */
static void global_prices_the_last_units_with_what_goes_with_them(void **state) {
  (void)state;
  const esp_allocation_matrix matrices[] = {own[0], own[1], {{0, -1}, {30, 1}, {0, 0}}};
  bench self;
  init(&self, 0.6);
  let_vanish(&self);
  self.job.matrices = matrices;
  self.job.n_matrices = 3;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 0, 3);
  assert_true(fabs(self.job.threshold - 0.22) < 1e-9);
  assert_true(fabs(self.job.got - 0.7) < 1e-9); // of the 100 that shrink unit by unit
}

/* 1 + 2 + 3 are paid before the last unit, which is left with 7 - 6: with the one before it, 4 for
 * 20 parameters. */
static void global_prices_the_last_units_by_the_whole_site(void **state) {
  (void)state;
  bench self;
  init(&self, 0.4);
  let_vanish(&self);
  self.sites[0].whole = 7;
  assert_int_equal(apply(&self, "global"), ESP_OK);
  check_kept(&self, 0, 3);
  assert_true(fabs(self.job.threshold - 0.2) < 1e-9);
}

/* The best of {0, 1}, of {2, 3} and of {4, 5}, then the second best. */
static void order_by_groups_takes_turns(void **state) {
  (void)state;
  const int64_t order[] = {4, 5, 3, 0, 2, 1}, want[] = {0, 3, 4, 1, 2, 5};
  int64_t grouped[6];
  esp_order_by_groups(order, 6, 2, grouped);
  assert_memory_equal(grouped, want, sizeof want);
  esp_order_by_groups(order, 6, 1, grouped);
  assert_memory_equal(grouped, order, sizeof order);
}

ESP_TEST_MAIN(cmocka_unit_test(allocation_find_of_an_unknown_name_is_usage),
              cmocka_unit_test(allocation_count_multiplies_both_sites),
              cmocka_unit_test(uniform_gives_every_site_the_same_fraction_of_units),
              cmocka_unit_test(global_takes_the_cheapest_parameters),
              cmocka_unit_test(global_ends_at_the_nearest_step),
              cmocka_unit_test(global_of_zero_keeps_all),
              cmocka_unit_test(global_never_takes_more_of_a_site_than_its_cap),
              cmocka_unit_test(global_keeps_multiples_and_the_least),
              cmocka_unit_test(global_leaves_fixed_sites_at_their_own_sparsity),
              cmocka_unit_test(global_without_a_free_site_asks_for_nothing),
              cmocka_unit_test(global_that_cannot_be_reached_is_usage),
              cmocka_unit_test(global_divides_scores_without_a_unit_by_their_sum),
              cmocka_unit_test(global_takes_the_fewest_steps_that_meet_a_budget),
              cmocka_unit_test(global_of_a_budget_out_of_reach_takes_all_steps),
              cmocka_unit_test(balanced_meets_a_budget_at_every_count_it_tries),
              cmocka_unit_test(balanced_starts_even_and_keeps_that_where_it_loses_least),
              cmocka_unit_test(balanced_moves_to_the_better_neighbour),
              cmocka_unit_test(balanced_tries_no_count_twice),
              cmocka_unit_test(balanced_of_one_kind_keeps_equally_many_without_a_trial),
              cmocka_unit_test(balanced_leaves_fixed_sites_at_their_own_sparsity),
              cmocka_unit_test(balanced_of_many_counts_tries_few),
              cmocka_unit_test(balanced_ends_where_a_trial_fails),
              cmocka_unit_test(balanced_removes_as_much_as_the_least_counts_allow),
              cmocka_unit_test(global_at_more_keeps_no_more_anywhere),
              cmocka_unit_test(global_takes_groups_a_unit_of_each_at_a_time),
              cmocka_unit_test(global_takes_a_whole_site_that_is_cheap),
              cmocka_unit_test(global_keeps_the_last_unit_where_it_is_dear),
              cmocka_unit_test(global_takes_no_whole_site_below_a_cap_of_1),
              cmocka_unit_test(global_prices_the_last_units_with_what_goes_with_them),
              cmocka_unit_test(global_prices_the_last_units_by_the_whole_site),
              cmocka_unit_test(order_by_groups_takes_turns))
