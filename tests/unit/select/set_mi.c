#include "set_mi.h"
#include "set_mi_plain.h"

static void assert_backward_is_plain(int64_t units, int64_t width, int64_t outputs) {
  problem p = problem_new(units, width, outputs, (uint64_t)(units + width));
  const ranking fast = must_rank("set-mi", &p.evidence);
  const ranking plain = rank_backward_plainly(&p.evidence);
  assert_order(fast.order, plain.order, units);
  assert_close(fast.score, plain.score, units, 1e-8);
  problem_clear(&p);
}

static void set_mi_is_the_plain_version(void **state) {
  (void)state;
  assert_backward_is_plain(1, 1, 1);
  assert_backward_is_plain(63, 1, 3);
  assert_backward_is_plain(131, 1, 5);
}

static void set_mi_of_heads_is_the_plain_version(void **state) {
  (void)state;
  assert_backward_is_plain(1, 3, 2);
  assert_backward_is_plain(37, 3, 4);
  assert_backward_is_plain(9, 20, 3);
}

static void set_mi_takes_units_wider_than_a_block(void **state) {
  (void)state;
  assert_backward_is_plain(5, 71, 6);
}

static void set_mi_takes_more_outputs_than_a_panel(void **state) {
  (void)state;
  assert_backward_is_plain(11, 1, 301);
}

static void assert_forward_is_plain(int64_t units, int64_t width, int64_t outputs) {
  problem p = problem_new(units, width, outputs, (uint64_t)(units + width));
  const ranking fast = must_rank("set-mi-forward", &p.evidence);
  const ranking plain = rank_forward_plainly(&p.evidence);
  assert_order(fast.order, plain.order, units);
  assert_close(fast.score, plain.score, units, 1e-8);
  problem_clear(&p);
}

static void set_mi_forward_is_the_plain_version(void **state) {
  (void)state;
  assert_forward_is_plain(1, 1, 1);
  assert_forward_is_plain(41, 1, 4);
}

static void set_mi_forward_of_heads_is_the_plain_version(void **state) {
  (void)state;
  assert_forward_is_plain(14, 5, 4);
  assert_forward_is_plain(3, 67, 2);
}

static void set_mi_forward_takes_more_outputs_than_a_panel(void **state) {
  (void)state;
  assert_forward_is_plain(6, 1, 401);
}

static esp_evidence get_neurons(void) {
  return (esp_evidence){.site = "neurons",
                        .units = neurons_units,
                        .width = neurons_width,
                        .outputs = neurons_outputs,
                        .covariance = neurons_covariance,
                        .map = neurons_map,
                        .output_scale = neurons_scale,
                        .ridge = 1e-3};
}

static esp_evidence get_heads(void) {
  return (esp_evidence){.site = "heads",
                        .units = heads_units,
                        .width = heads_width,
                        .outputs = heads_outputs,
                        .covariance = heads_covariance,
                        .map = heads_map,
                        .output_scale = heads_scale,
                        .ridge = 1e-3};
}

static void set_mi_gives_the_golden_numbers(void **state) {
  (void)state;
  const esp_evidence evidence = get_neurons();
  const ranking got = must_rank("set-mi", &evidence);
  assert_order(got.order, neurons_backward_order, neurons_units);
  assert_close(got.score, neurons_backward_score, neurons_units, 1e-9);
}

static void set_mi_of_heads_gives_the_golden_numbers(void **state) {
  (void)state;
  const esp_evidence evidence = get_heads();
  const ranking got = must_rank("set-mi", &evidence);
  assert_order(got.order, heads_backward_order, heads_units);
  assert_close(got.score, heads_backward_score, heads_units, 1e-9);
}

static void set_mi_forward_gives_the_golden_numbers(void **state) {
  (void)state;
  const esp_evidence evidence = get_neurons();
  const ranking got = must_rank("set-mi-forward", &evidence);
  assert_order(got.order, neurons_forward_order, neurons_units);
  assert_close(got.score, neurons_forward_score, neurons_units, 1e-9);
}

static void set_mi_forward_of_heads_gives_the_golden_numbers(void **state) {
  (void)state;
  const esp_evidence evidence = get_heads();
  const ranking got = must_rank("set-mi-forward", &evidence);
  assert_order(got.order, heads_forward_order, heads_units);
  assert_close(got.score, heads_forward_score, heads_units, 1e-9);
}

/* Mean, over all subsets of `size` of at most 8 units, of an objective; and its largest value. */
typedef double (*objective)(const esp_evidence *, const double *, const bool *);

static double average_subsets(const esp_evidence *e, objective value, int64_t size, double *best) {
  double *cross = make_cross(e), sum = 0;
  int count = 0;
  *best = 0;
  for (unsigned set = 0; set < 1u << e->units; set++) {
    bool kept[8];
    int64_t members = 0;
    for (int64_t u = 0; u < e->units; u++) members += kept[u] = set >> u & 1;
    if (members != size) continue;
    const double v = value(e, cross, kept);
    sum += v;
    count++;
    *best = fmax(*best, v);
  }
  esp_free(&cross);
  return sum / count;
}

static double value_of_prefix(const esp_evidence *e, objective value, const int64_t *order,
                              int64_t size) {
  bool kept[8] = {false};
  double *cross = make_cross(e);
  for (int64_t k = 0; k < size; k++) kept[order[k]] = true;
  const double v = value(e, cross, kept);
  esp_free(&cross);
  return v;
}

/* Greedy is at least random's expectation and 60 % of the best of all subsets. */
static void assert_sane(const char *name, objective value, uint64_t seed) {
  problem p = problem_new(7, 1, 3, seed);
  const ranking got = must_rank(name, &p.evidence);
  for (int64_t size = 1; size < 7; size++) {
    double best;
    const double mean = average_subsets(&p.evidence, value, size, &best);
    const double mine = value_of_prefix(&p.evidence, value, got.order, size);
    assert_true(mine >= mean && mine >= 0.6 * best && mine <= best * (1 + 1e-9));
  }
  problem_clear(&p);
}

static void set_mi_is_sane_among_all_subsets(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 5; seed++) assert_sane("set-mi", explain_in_all, seed);
}

static void set_mi_forward_is_sane_among_all_subsets(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 5; seed++)
    assert_sane("set-mi-forward", compute_log_objective, seed);
}

ESP_TEST_MAIN(cmocka_unit_test(set_mi_is_the_plain_version),
              cmocka_unit_test(set_mi_of_heads_is_the_plain_version),
              cmocka_unit_test(set_mi_takes_units_wider_than_a_block),
              cmocka_unit_test(set_mi_takes_more_outputs_than_a_panel),
              cmocka_unit_test(set_mi_forward_is_the_plain_version),
              cmocka_unit_test(set_mi_forward_of_heads_is_the_plain_version),
              cmocka_unit_test(set_mi_forward_takes_more_outputs_than_a_panel),
              cmocka_unit_test(set_mi_gives_the_golden_numbers),
              cmocka_unit_test(set_mi_of_heads_gives_the_golden_numbers),
              cmocka_unit_test(set_mi_forward_gives_the_golden_numbers),
              cmocka_unit_test(set_mi_forward_of_heads_gives_the_golden_numbers),
              cmocka_unit_test(set_mi_is_sane_among_all_subsets),
              cmocka_unit_test(set_mi_forward_is_sane_among_all_subsets))
