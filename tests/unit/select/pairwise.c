/* mi-mrmr, mi-jmi, mi-cmim: worked examples, and a naive reference that computes every sum anew. */
#include "ranking.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { MOST = 64, UPPER = 3, TARGETS = 2 };

static const char *const names[] = {"mi-mrmr", "mi-jmi", "mi-cmim"};
static const int64_t both_targets[TARGETS] = {0, 2};

static void assert_order(const ranking *found, const int64_t *want, int64_t n) {
  for (int64_t k = 0; k < n; k++) assert_int_equal(found->order[k], want[k]);
}

/* One output above, which is the target. */
static esp_evidence make_evidence(int64_t units, const float *information, const float *redundancy,
                                  const float *conditional) {
  static const int64_t first[] = {0};
  return (esp_evidence){.site = "s",
                        .units = units,
                        .width = 1,
                        .upper = 1,
                        .information = information,
                        .redundancy = redundancy,
                        .conditional = conditional,
                        .targets = first,
                        .n_targets = 1};
}

/* Units 0 and 1 are copies with .5 nats about y, of which .2 are left of either's .7 once y is
 * known; unit 2 has .3 and shares nothing. J of the copy: mrmr .5 - .7, jmi and cmim .5 - .7 + .2.
 */
static const float copies_information[] = {.5f, .5f, .3f};
static const float copies_redundancy[] = {.7f, .7f, 0, .7f, .7f, 0, 0, 0, .6f};
static const float copies_conditional[] = {.2f, .2f, 0, .2f, .2f, 0, 0, 0, .3f};

static void pairwise_takes_a_copy_last(void **state) {
  (void)state;
  const esp_evidence evidence =
      make_evidence(3, copies_information, copies_redundancy, copies_conditional);
  for (size_t c = 0; c < ESP_COUNT(names); c++) {
    const ranking found = must_rank(names[c], &evidence);
    assert_order(&found, (const int64_t[]){0, 2, 1}, 3);
    assert_true(fabs(found.score[0] - .5) < 1e-7 && fabs(found.score[2] - .3) < 1e-7);
  }
}

/* The copy's J when it comes: the mean, or the worst, of its overlaps .7 (.5 less what y explains)
 * with unit 0 and 0 with unit 2. */
static void pairwise_prices_a_copy(void **state) {
  (void)state;
  const double want[] = {.5 - .35, .5 - .25, .5 - .5};
  const esp_evidence evidence =
      make_evidence(3, copies_information, copies_redundancy, copies_conditional);
  for (size_t c = 0; c < ESP_COUNT(names); c++)
    assert_true(fabs(must_rank(names[c], &evidence).score[1] - want[c]) < 1e-7);
}

/* y = x_0 XOR x_1: x_0 has a trace of information, x_1 none, and given y each tells the other:
 * log 2. Unit 2 has .05 and shares nothing. */
static void pairwise_finds_an_exclusive_or_where_it_is_conditional(void **state) {
  (void)state;
  const float l = 0.69314718f, information[] = {.1f, 0, .05f};
  const float redundancy[] = {l, 0, 0, 0, l, 0, 0, 0, l};
  const float conditional[] = {l, l, 0, l, l, 0, 0, 0, l};
  const esp_evidence evidence = make_evidence(3, information, redundancy, conditional);
  const ranking mrmr = must_rank("mi-mrmr", &evidence);
  assert_order(&mrmr, (const int64_t[]){0, 2, 1}, 3);
  for (size_t c = 1; c < ESP_COUNT(names); c++) {
    const ranking found = must_rank(names[c], &evidence);
    assert_order(&found, (const int64_t[]){0, 1, 2}, 3);
  }
}

/* Random symmetric matrices. */
typedef struct problem {
  esp_evidence evidence;
  float *information, *redundancy, *conditional;
} problem;

static float *make_matrix(int64_t n, double scale, uint64_t seed) {
  float *matrix = ESP_NEW(float, n *n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i; j < n; j++)
      matrix[i * n + j] = matrix[j * n + i] =
          (float)(scale * esp_rng_uniform(seed, 5, (uint64_t)(i * n + j)));
  return matrix;
}

static problem problem_new(int64_t units, int64_t width, uint64_t seed) {
  const int64_t n = units * width;
  problem self = {.information = ESP_NEW(float, n *UPPER),
                  .redundancy = make_matrix(n, 0.3, seed),
                  .conditional = make_matrix(n, 0.2, seed + 1)};
  for (int64_t i = 0; i < n * UPPER; i++)
    self.information[i] = (float)(0.1 * esp_rng_uniform(seed, 6, (uint64_t)i));
  self.evidence = (esp_evidence){.site = "s",
                                 .units = units,
                                 .width = width,
                                 .upper = UPPER,
                                 .information = self.information,
                                 .redundancy = self.redundancy,
                                 .conditional = self.conditional,
                                 .targets = both_targets,
                                 .n_targets = TARGETS};
  return self;
}

static void problem_clear(problem *self) {
  esp_free(&self->information);
  esp_free(&self->redundancy);
  esp_free(&self->conditional);
}

/* The plain version. */
static double plain_block(const esp_evidence *e, const float *matrix, int64_t i, int64_t j) {
  const int64_t w = e->width, n = e->units * w;
  double sum = 0;
  for (int64_t a = 0; a < w; a++)
    for (int64_t b = 0; b < w; b++) sum += (double)matrix[(i * w + a) * n + j * w + b];
  return sum / (double)(w * w);
}

/* Mean over a unit's features and, of the preserved units above, all or the targets. */
static double plain_relevance(const esp_evidence *e, bool of_targets, int64_t unit) {
  double sum = 0, count = 0;
  for (int64_t f = unit * e->width; f < (unit + 1) * e->width; f++)
    for (int64_t j = 0; j < e->upper; j++) {
      if (of_targets && j != both_targets[0] && j != both_targets[1]) continue;
      sum += (double)e->information[f * e->upper + j];
      count++;
    }
  return sum / count;
}

static double plain_sum(const esp_evidence *e, bool of_targets) {
  double sum = 0;
  for (int64_t u = 0; u < e->units; u++) sum += plain_relevance(e, of_targets, u);
  return sum;
}

static double plain_score(const esp_evidence *e, const char *name, const bool *chosen,
                          int64_t unit) {
  const bool is_conditional = strcmp(name, "mi-mrmr") != 0;
  const double footing = is_conditional ? plain_sum(e, false) / plain_sum(e, true) : 1;
  double sum = 0, worst = -INFINITY, count = 0;
  for (int64_t s = 0; s < e->units; s++) {
    if (!chosen[s]) continue;
    double overlap = plain_block(e, e->redundancy, unit, s);
    if (is_conditional) overlap -= plain_block(e, e->conditional, unit, s);
    overlap *= footing;
    sum += overlap;
    worst = fmax(worst, overlap);
    count++;
  }
  const double relevance = plain_relevance(e, false, unit);
  return count == 0 ? relevance : relevance - (strcmp(name, "mi-cmim") == 0 ? worst : sum / count);
}

static ranking rank_plainly(const esp_evidence *e, const char *name) {
  ranking result = {{0}, {0}};
  bool chosen[MOST] = {false};
  double least = INFINITY;
  for (int64_t k = 0; k < e->units; k++) {
    double best = -INFINITY;
    for (int64_t u = 0; u < e->units; u++) {
      const double value = chosen[u] ? -INFINITY : plain_score(e, name, chosen, u);
      if (value > best) result.order[k] = u;
      best = fmax(best, value);
    }
    chosen[result.order[k]] = true;
    least = fmin(least, best);
    result.score[result.order[k]] = least;
  }
  return result;
}

static void check_plain(int64_t units, int64_t width, uint64_t seed) {
  problem p = problem_new(units, width, seed);
  for (size_t c = 0; c < ESP_COUNT(names); c++) {
    const ranking found = must_rank(names[c], &p.evidence);
    const ranking want = rank_plainly(&p.evidence, names[c]);
    assert_order(&found, want.order, units);
    for (int64_t u = 0; u < units; u++) assert_true(fabs(found.score[u] - want.score[u]) < 1e-12);
  }
  problem_clear(&p);
}

static void pairwise_is_the_plain_version(void **state) {
  (void)state;
  check_plain(1, 1, 3);
  for (uint64_t seed = 0; seed < 5; seed++) check_plain(MOST - 1, 1, seed);
}

static void pairwise_of_heads_is_the_plain_version(void **state) {
  (void)state;
  check_plain(1, 4, 3);
  for (uint64_t seed = 0; seed < 5; seed++) check_plain(13, 5, seed);
}

/* Heads of three copies of a neuron each rank as the neurons do. */
static void pairwise_treats_heads_and_neurons_alike(void **state) {
  (void)state;
  enum { UNITS = 11, WIDTH = 3, FEATURES = UNITS * WIDTH };
  problem small = problem_new(UNITS, 1, 4), big = problem_new(UNITS, WIDTH, 4);
  for (int64_t f = 0; f < FEATURES; f++) {
    memcpy(big.information + f * UPPER, small.information + f / WIDTH * UPPER,
           UPPER * sizeof(float));
    for (int64_t g = 0; g < FEATURES; g++) {
      big.redundancy[f * FEATURES + g] = small.redundancy[f / WIDTH * UNITS + g / WIDTH];
      big.conditional[f * FEATURES + g] = small.conditional[f / WIDTH * UNITS + g / WIDTH];
    }
  }
  for (size_t c = 0; c < ESP_COUNT(names); c++) {
    const ranking a = must_rank(names[c], &small.evidence), b = must_rank(names[c], &big.evidence);
    assert_order(&b, a.order, UNITS);
    for (int64_t u = 0; u < UNITS; u++) assert_true(fabs(a.score[u] - b.score[u]) < 1e-12);
  }
  problem_clear(&small);
  problem_clear(&big);
}

static void pairwise_keeps_the_order_of_equal_units(void **state) {
  (void)state;
  float information[20], redundancy[400], conditional[400];
  for (int i = 0; i < 20; i++) information[i] = .3f;
  for (int i = 0; i < 400; i++) redundancy[i] = .7f, conditional[i] = .1f;
  const esp_evidence evidence = make_evidence(20, information, redundancy, conditional);
  for (size_t c = 0; c < ESP_COUNT(names); c++) {
    const ranking found = must_rank(names[c], &evidence);
    for (int64_t k = 0; k < 20; k++) assert_int_equal(found.order[k], k);
  }
}

/* Unit 0 says nothing at all; unit 2 is worth less than nothing, and still comes before it. */
static void pairwise_puts_dead_units_last(void **state) {
  (void)state;
  const float information[] = {0, .5f, .1f};
  const float redundancy[] = {0, 0, 0, 0, .7f, .6f, 0, .6f, .7f}, conditional[9] = {0};
  const esp_evidence evidence = make_evidence(3, information, redundancy, conditional);
  for (size_t c = 0; c < ESP_COUNT(names); c++) {
    const ranking found = must_rank(names[c], &evidence);
    assert_order(&found, (const int64_t[]){1, 2, 0}, 3);
    assert_true(found.score[0] <= found.score[2]);
  }
}

static void pairwise_of_one_reader_is_its_order(void **state) {
  (void)state;
  problem p = problem_new(30, 1, 8);
  for (size_t c = 0; c < ESP_COUNT(names); c++) {
    const ranking alone = must_rank(names[c], &p.evidence);
    const ranking joint = rank_jointly(names[c], &p.evidence, 1);
    assert_order(&joint, alone.order, 30);
  }
  problem_clear(&p);
}

static float *mix(const float *a, double factor_a, const float *b, double factor_b, int64_t n) {
  float *sum = ESP_NEW(float, n);
  for (int64_t i = 0; i < n; i++)
    sum[i] = (float)((double)a[i] * factor_a + (double)b[i] * factor_b);
  return sum;
}

/* Two problems as one, each over its summed relevance, and their matrices on the footing of all
 * preserved units, which are all targets here. */
static problem mix_problems(const problem *a, const problem *b, bool is_conditional) {
  static const int64_t all[UPPER] = {0, 1, 2};
  const double x = 1 / plain_sum(&a->evidence, false), y = 1 / plain_sum(&b->evidence, false);
  const double x_pairs = is_conditional ? 1 / plain_sum(&a->evidence, true) : x;
  const double y_pairs = is_conditional ? 1 / plain_sum(&b->evidence, true) : y;
  const int64_t n = a->evidence.units;
  problem sum = {.evidence = a->evidence,
                 .information = mix(a->information, x, b->information, y, n * UPPER),
                 .redundancy = mix(a->redundancy, x_pairs, b->redundancy, y_pairs, n * n),
                 .conditional = mix(a->conditional, x_pairs, b->conditional, y_pairs, n * n)};
  sum.evidence.information = sum.information;
  sum.evidence.redundancy = sum.redundancy;
  sum.evidence.conditional = sum.conditional;
  sum.evidence.targets = all;
  sum.evidence.n_targets = UPPER;
  return sum;
}

static void pairwise_adds_readers_up(void **state) {
  (void)state;
  problem a = problem_new(30, 1, 8), b = problem_new(30, 1, 21);
  const esp_evidence readers[] = {a.evidence, b.evidence};
  for (size_t c = 0; c < ESP_COUNT(names); c++) {
    problem sum = mix_problems(&a, &b, c > 0);
    const ranking joint = rank_jointly(names[c], readers, 2);
    const ranking want = must_rank(names[c], &sum.evidence);
    assert_order(&joint, want.order, 30);
    for (int64_t u = 0; u < 30; u++) assert_true(fabs(joint.score[u] - want.score[u]) < 1e-6);
    problem_clear(&sum);
  }
  problem_clear(&a);
  problem_clear(&b);
}

/* Of two outputs above, with .5 and .1 nats a unit, the first is the target, and explains all of
 * the units' redundancy .4 or none: seen from the mean output, .3 / .5 of that. */
static void pairwise_brings_targets_to_the_footing_of_all(void **state) {
  (void)state;
  const float information[] = {.5f, .1f, .5f, .1f}, redundancy[] = {.7f, .4f, .4f, .7f};
  const float all[] = {.7f, .4f, .4f, .7f}, none[] = {.7f, 0, 0, .7f};
  esp_evidence evidence = make_evidence(2, information, redundancy, all);
  evidence.upper = 2;
  assert_true(fabs(must_rank("mi-jmi", &evidence).score[1] - .3) < 1e-7);
  evidence.conditional = none;
  assert_true(fabs(must_rank("mi-jmi", &evidence).score[1] - (.3 - .4 * .6)) < 1e-7);
  assert_true(fabs(must_rank("mi-mrmr", &evidence).score[1] - (.3 - .4)) < 1e-7);
}

static void pairwise_rejects_nan(void **state) {
  (void)state;
  problem p = problem_new(4, 1, 8);
  int64_t order[4];
  double score[4];
  p.conditional[5] = NAN;
  assert_int_equal(find("mi-mrmr")->rank(&p.evidence, order, score), ESP_OK);
  assert_failure(find("mi-jmi")->rank(&p.evidence, order, score), ESP_NUMERIC, "conditional");
  p.redundancy[3] = INFINITY;
  assert_failure(find("mi-cmim")->rank(&p.evidence, order, score), ESP_NUMERIC, "redundancy");
  p.information[3] = NAN;
  assert_failure(find("mi-mrmr")->rank(&p.evidence, order, score), ESP_NUMERIC, "information");
  problem_clear(&p);
}

ESP_TEST_MAIN(cmocka_unit_test(pairwise_takes_a_copy_last),
              cmocka_unit_test(pairwise_prices_a_copy),
              cmocka_unit_test(pairwise_finds_an_exclusive_or_where_it_is_conditional),
              cmocka_unit_test(pairwise_is_the_plain_version),
              cmocka_unit_test(pairwise_of_heads_is_the_plain_version),
              cmocka_unit_test(pairwise_treats_heads_and_neurons_alike),
              cmocka_unit_test(pairwise_keeps_the_order_of_equal_units),
              cmocka_unit_test(pairwise_puts_dead_units_last),
              cmocka_unit_test(pairwise_of_one_reader_is_its_order),
              cmocka_unit_test(pairwise_adds_readers_up),
              cmocka_unit_test(pairwise_brings_targets_to_the_footing_of_all),
              cmocka_unit_test(pairwise_rejects_nan))
