#include "set_mi_plain.h"

enum { READERS = 2 };

/* tr(M G M^T), by which a reader's costs are divided. */
static double compute_total(const esp_evidence *e) {
  double *cross = make_cross(e), total = 0;
  for (int64_t f = 0; f < e->units; f++)
    for (int64_t j = 0; j < e->outputs; j++)
      total += cross[f * e->outputs + j] * (double)e->map[j * e->units + f];
  esp_free(&cross);
  return total;
}

/* Part of a reader's output that is lost when only the units marked in kept are there, refitted. */
static double lose_refitted(const esp_evidence *e, const bool *kept) {
  double *cross = make_cross(e), *explained = ESP_NEW(double, e->outputs), sum = 0;
  explain(e, cross, kept, explained);
  for (int64_t j = 0; j < e->outputs; j++) sum += explained[j];
  esp_free(&explained);
  esp_free(&cross);
  return -sum / compute_total(e);
}

/* The same as it stands: E||M_R x_R||^2 of the removed units R. */
static double lose_fixed(const esp_evidence *e, const bool *kept) {
  double sum = 0;
  for (int64_t j = 0; j < e->outputs; j++)
    for (int64_t a = 0; a < e->units; a++)
      for (int64_t b = 0; b < e->units; b++)
        if (!kept[a] && !kept[b])
          sum += (double)e->map[j * e->units + a] * e->covariance[a * e->units + b] *
                 (double)e->map[j * e->units + b];
  return sum / compute_total(e);
}

static double lose(const esp_evidence *readers, const bool *kept) {
  double sum = 0;
  for (int r = 0; r < READERS; r++)
    sum += readers[r].is_fixed ? lose_fixed(&readers[r], kept) : lose_refitted(&readers[r], kept);
  return sum;
}

/* Remove the unit that raises the loss least, all losses computed anew at every step. */
static void order_plainly(const esp_evidence *readers, int64_t *order) {
  bool kept[MOST_UNITS];
  for (int64_t u = 0; u < MOST_UNITS; u++) kept[u] = true;
  for (int64_t k = readers[0].units - 1; k >= 0; k--) {
    double least = INFINITY;
    for (int64_t u = 0; u < readers[0].units; u++) {
      if (!kept[u]) continue;
      kept[u] = false;
      const double loss = lose(readers, kept);
      kept[u] = true;
      if (loss >= least) continue;
      least = loss;
      order[k] = u;
    }
    kept[order[k]] = false;
  }
}

static void check_plain(int64_t units, bool has_fixed) {
  problem a = problem_new(units, 1, 4, 7), b = problem_new(units, 1, 9, 8);
  esp_evidence readers[READERS] = {a.evidence, b.evidence};
  int64_t want[MOST_UNITS];
  for (int r = 0; r < READERS; r++) readers[r].output_scale = NULL;
  readers[1].is_fixed = has_fixed;
  order_plainly(readers, want);
  const ranking found = rank_jointly("set-mi", readers, READERS);
  assert_order(found.order, want, units);
  for (int64_t k = 1; k < units; k++)
    assert_true(found.score[found.order[k]] <= found.score[found.order[k - 1]]);
  problem_clear(&a);
  problem_clear(&b);
}

static void joint_set_mi_is_the_plain_version(void **state) {
  (void)state;
  check_plain(1, false);
  check_plain(17, false);
}

static void joint_set_mi_of_a_reader_that_stays_is_the_plain_version(void **state) {
  (void)state;
  check_plain(1, true);
  check_plain(17, true);
}

static void joint_set_mi_of_one_reader_is_its_order(void **state) {
  (void)state;
  problem p = problem_new(40, 1, 6, 3);
  p.evidence.output_scale = NULL;
  const ranking alone = must_rank("set-mi", &p.evidence);
  const ranking joint = rank_jointly("set-mi", &p.evidence, 1);
  assert_order(joint.order, alone.order, 40);
  problem_clear(&p);
}

/* Products 3 1 4 and 10 0 0: over their sums 3/8 1/8 4/8 and 1 0 0. */
static void joint_rank_sums_scores_over_their_sums(void **state) {
  (void)state;
  const double producers[] = {1, 1, 2}, first[] = {3, 1, 2}, second[] = {10, 0, 0};
  const esp_evidence readers[READERS] = {
      {.site = "a", .units = 3, .width = 1, .producer_norm = producers, .consumer_norm = first},
      {.site = "b", .units = 3, .width = 1, .producer_norm = producers, .consumer_norm = second}};
  const int64_t order[] = {0, 2, 1};
  const double score[] = {1.375, 0.125, 0.5};
  const ranking found = rank_jointly("magnitude", readers, READERS);
  assert_order(found.order, order, 3);
  assert_close(found.score, score, 3, 1e-12);
}

static void joint_random_is_the_permutation(void **state) {
  (void)state;
  const esp_evidence reader = {.site = "r", .units = 9, .width = 1, .seed = 4, .stream = 2};
  const esp_evidence readers[READERS] = {reader, reader};
  const ranking alone = must_rank("random", &reader);
  assert_order(rank_jointly("random", readers, READERS).order, alone.order, 9);
}

/* -1/2 sum_j log(Var(error_j) / Var(y_j)) of the units marked in kept: refitted, or by the map as
 * it stands, whose error is M_R x_R - M_K n_K with noise n of variance D. */
static double gain_nats(const esp_evidence *e, const bool *kept) {
  double *cross = make_cross(e), sum = 0;
  if (!e->is_fixed) sum = compute_log_objective(e, cross, kept);
  for (int64_t j = 0; j < e->outputs && e->is_fixed; j++) {
    double error = 0, variance = 0;
    for (int64_t a = 0; a < e->units; a++) {
      const double m = (double)e->map[j * e->units + a];
      if (kept[a]) error += get_ridge(e) * m * m;
      variance += m * cross[a * e->outputs + j];
      for (int64_t b = 0; b < e->units && !kept[a]; b++)
        if (!kept[b])
          error += m * e->covariance[a * e->units + b] * (double)e->map[j * e->units + b];
    }
    sum -= 0.5 * log(error / variance);
  }
  esp_free(&cross);
  return sum;
}

static double gain_of_all(const esp_evidence *readers, int n, const bool *kept) {
  double sum = 0;
  for (int r = 0; r < n; r++) sum += gain_nats(&readers[r], kept) / (double)readers[r].outputs;
  return sum;
}

/* Take the unit that raises the sum of the readers' information, nats an output, most, all computed
 * anew. */
static ranking select_plainly(const esp_evidence *readers, int n) {
  ranking result = {{0}, {0}};
  bool kept[MOST_UNITS] = {false};
  double before = 0, least = INFINITY;
  for (int64_t k = 0; k < readers[0].units; k++) {
    double best = -INFINITY;
    for (int64_t u = 0; u < readers[0].units; u++) {
      if (kept[u]) continue;
      kept[u] = true;
      const double value = gain_of_all(readers, n, kept);
      kept[u] = false;
      if (value > best) result.order[k] = u;
      best = fmax(best, value);
    }
    kept[result.order[k]] = true;
    least = fmin(least, fmax(0, best - before));
    before = best;
    result.score[result.order[k]] = least;
  }
  return result;
}

static void check_plain_forward(int64_t units, bool has_fixed, uint64_t seed) {
  problem a = problem_new(units, 1, 4, seed), b = problem_new(units, 1, 9, seed + 1);
  esp_evidence readers[READERS] = {a.evidence, b.evidence};
  for (int r = 0; r < READERS; r++) readers[r].output_scale = NULL;
  readers[1].is_fixed = has_fixed;
  const ranking want = select_plainly(readers, READERS);
  const ranking found = rank_jointly("set-mi-forward", readers, READERS);
  assert_order(found.order, want.order, units);
  assert_close(found.score, want.score, units, 1e-6);
  problem_clear(&a);
  problem_clear(&b);
}

static void joint_forward_is_the_plain_version(void **state) {
  (void)state;
  check_plain_forward(1, false, 7);
  for (uint64_t seed = 7; seed < 11; seed++) check_plain_forward(17, false, seed);
}

static void joint_forward_of_a_reader_that_stays_is_the_plain_version(void **state) {
  (void)state;
  check_plain_forward(1, true, 7);
  for (uint64_t seed = 7; seed < 11; seed++) check_plain_forward(17, true, seed);
}

static void joint_forward_of_one_reader_is_its_order(void **state) {
  (void)state;
  problem p = problem_new(40, 1, 6, 3);
  ranking alone = must_rank("set-mi-forward", &p.evidence);
  const ranking joint = rank_jointly("set-mi-forward", &p.evidence, 1);
  assert_memory_equal(joint.order, alone.order, sizeof alone.order);
  for (int64_t u = 0; u < 40; u++) alone.score[u] /= (double)p.evidence.outputs;
  assert_close(joint.score, alone.score, 40, 1e-12);
  problem_clear(&p);
}

/* Three copies of a unit in both readers, one of which stays. */
static void joint_forward_keeps_the_order_of_equal_units(void **state) {
  (void)state;
  problem a = problem_new(12, 1, 5, 3), b = problem_new(12, 1, 4, 9);
  copy_feature(&a, 2, 6), copy_feature(&a, 2, 11), copy_feature(&b, 2, 6), copy_feature(&b, 2, 11);
  esp_evidence readers[READERS] = {a.evidence, b.evidence};
  readers[1].is_fixed = true;
  const ranking found = rank_jointly("set-mi-forward", readers, READERS);
  int64_t place[12];
  for (int64_t k = 0; k < 12; k++) place[found.order[k]] = k;
  assert_true(place[2] < place[6] && place[6] < place[11]);
  problem_clear(&a);
  problem_clear(&b);
}

/* Independent units of variance 1; reader 1, as it stands, reads unit 0 with 2 and unit 1 with 1:
 * without either the error is 5, without unit 1 alone 1 + 4 D. Ridge 0.01. */
static void joint_forward_prices_a_reader_that_stays(void **state) {
  (void)state;
  const double covariance[] = {1, 0, 0, 1};
  const float map[] = {2, 1};
  const esp_evidence reader = {.site = "head",
                               .units = 2,
                               .width = 1,
                               .outputs = 1,
                               .covariance = covariance,
                               .map = map,
                               .ridge = 0.01,
                               .is_fixed = true};
  const double score[] = {-0.5 * log(1.04 / 5), -0.5 * log(0.05 / 1.04)};
  const ranking found = rank_jointly("set-mi-forward", &reader, 1);
  assert_int_equal(found.order[0], 0);
  assert_close(found.score, (const double[]){score[0], fmin(score[0], score[1])}, 2, 1e-12);
}

static void joint_forward_puts_dimensions_that_no_reader_sees_vary_last(void **state) {
  (void)state;
  problem a = problem_new(9, 1, 5, 3), b = problem_new(9, 1, 4, 9);
  copy_feature(&a, -1, 0), copy_feature(&b, -1, 0), copy_feature(&a, -1, 4);
  const esp_evidence readers[READERS] = {a.evidence, b.evidence};
  const ranking found = rank_jointly("set-mi-forward", readers, READERS);
  assert_int_equal(found.order[8], 0);
  assert_true(found.score[0] == 0 && found.score[4] > 0);
  problem_clear(&a);
  problem_clear(&b);
}

static esp_status refuse(const esp_evidence *evidence, int64_t *order, double *score) {
  (void)evidence, (void)order, (void)score;
  return ESP_OK;
}

static void joint_new_refuses_a_greedy_criterion_without_a_rule(void **state) {
  (void)state;
  const esp_criterion alone = {.name = "alone", .is_greedy = true, .rank = refuse};
  esp_joint *joint = NULL;
  assert_failure(esp_joint_new_local(NULL, &alone, 3, 2, &joint), ESP_USAGE, "'alone'");
  assert_null(joint);
  esp_joint_free(&joint);
}

static void joint_add_passes_on_what_the_criterion_says(void **state) {
  (void)state;
  problem p = problem_new(5, 1, 2, 3);
  esp_joint *joint = NULL;
  p.covariance[0] = NAN;
  assert_int_equal(esp_joint_new_local(NULL, find("set-mi"), 5, 1, &joint), ESP_OK);
  assert_failure(esp_joint_add(joint, &p.evidence), ESP_NUMERIC, "covariance");
  esp_joint_free(&joint);
  problem_clear(&p);
}

ESP_TEST_MAIN(cmocka_unit_test(joint_set_mi_is_the_plain_version),
              cmocka_unit_test(joint_set_mi_of_a_reader_that_stays_is_the_plain_version),
              cmocka_unit_test(joint_set_mi_of_one_reader_is_its_order),
              cmocka_unit_test(joint_rank_sums_scores_over_their_sums),
              cmocka_unit_test(joint_random_is_the_permutation),
              cmocka_unit_test(joint_forward_is_the_plain_version),
              cmocka_unit_test(joint_forward_of_a_reader_that_stays_is_the_plain_version),
              cmocka_unit_test(joint_forward_of_one_reader_is_its_order),
              cmocka_unit_test(joint_forward_keeps_the_order_of_equal_units),
              cmocka_unit_test(joint_forward_prices_a_reader_that_stays),
              cmocka_unit_test(joint_forward_puts_dimensions_that_no_reader_sees_vary_last),
              cmocka_unit_test(joint_new_refuses_a_greedy_criterion_without_a_rule),
              cmocka_unit_test(joint_add_passes_on_what_the_criterion_says))
