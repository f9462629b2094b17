/* Information given targets from swept counts, against naive three-way histograms. */
#include "espalier/sweep/sweep.h"

#include "espalier/information/information.h"
#include "mpi.h"

#include <math.h>
#include <string.h>

enum { UNITS = 9, BINS = 4, TARGETS = 3, TARGET_BINS = 5, SAMPLES = 777, CONSTANT = 3 };

static int quantise(double value, int bins) {
  const int code = (int)floor(value + 0.5 * bins);
  return code < 0 ? 0 : code >= bins ? bins - 1 : code;
}

/* Units follow one of three signals; units 7 and 8 make target 1 by an exclusive or. */
static int draw_code(int64_t unit, int64_t sample) {
  const double common = esp_rng_normal(1, (uint64_t)(unit % 3), (uint64_t)sample);
  const double own = esp_rng_normal(2, (uint64_t)unit, (uint64_t)sample);
  if (unit == CONSTANT) return 1;
  return unit > 6 ? (own > 0) * 2 : quantise(common + 0.5 * own, BINS);
}

/* Target 0 follows signal 1; the bins 1 and 3 of target 2 are empty. */
static int draw_target(int64_t target, int64_t sample) {
  const double signal = esp_rng_normal(1, 1, (uint64_t)sample);
  const double own = esp_rng_normal(3, (uint64_t)target, (uint64_t)sample);
  if (target == 1) return draw_code(7, sample) != draw_code(8, sample);
  return target == 0 ? quantise(signal + 0.7 * own, TARGET_BINS) : quantise(own, 3) * 2;
}

static int codes_of[UNITS][SAMPLES], targets_of[TARGETS][SAMPLES];

static int draw_all(void **state) {
  (void)state;
  for (int64_t s = 0; s < SAMPLES; s++) {
    for (int64_t u = 0; u < UNITS; u++) codes_of[u][s] = draw_code(u, s);
    for (int64_t t = 0; t < TARGETS; t++) targets_of[t][s] = draw_target(t, s);
  }
  return 0;
}

static int code_of(int64_t unit, int64_t sample) {
  return codes_of[unit][sample];
}

static int target_of(int64_t target, int64_t sample) {
  return targets_of[target][sample];
}

typedef int (*code)(int64_t unit, int64_t sample);

static esp_planes make_planes(code get, int64_t units, int bins, int64_t begin, int64_t end) {
  esp_planes planes;
  esp_planes_init(&planes, units, bins, (end - begin + 63) / 64);
  for (int64_t u = 0; u < units; u++)
    for (int a = 0; a < bins - 1; a++)
      for (int64_t s = begin; s < end; s++)
        if (get(u, s) > a)
          planes.words[(u * (bins - 1) + a) * planes.stride + (s - begin) / 64] |=
              UINT64_C(1) << (s - begin) % 64;
  return planes;
}

/* All samples over the ranks in blocks; with idle, rank 0 has all of them. */
static void sweep(const esp_comm *comm, bool idle, float *conditional) {
  const int64_t begin = idle ? 0 : esp_block_begin(SAMPLES, comm->size, comm->rank);
  const int64_t end = !idle             ? esp_block_begin(SAMPLES, comm->size, comm->rank + 1)
                      : comm->rank == 0 ? SAMPLES
                                        : 0;
  esp_planes x = make_planes(code_of, UNITS, BINS, begin, end);
  esp_planes targets = make_planes(target_of, TARGETS, TARGET_BINS, begin, end);
  esp_sweep_conditional(comm, &x, &targets, SAMPLES, ESP_REDUCE_AUTO, conditional);
  esp_planes_clear(&x);
  esp_planes_clear(&targets);
}

/* Codes of a unit where the target's code is c; returns how many. */
static int64_t gather_codes(int64_t unit, int64_t target, int c, uint8_t *codes) {
  int64_t n = 0;
  for (int64_t s = 0; s < SAMPLES; s++)
    if (target_of(target, s) == c) codes[n++] = (uint8_t)code_of(unit, s);
  return n;
}

static void count_above(const uint8_t *codes, int64_t n, int64_t *above) {
  for (int a = 0; a < BINS - 1; a++) {
    above[a] = 0;
    for (int64_t s = 0; s < n; s++) above[a] += codes[s] > a;
  }
}

/* S_c / (S T) I_c(x_i; x_j) of one bin's scattered samples. */
static float naive_part(int64_t i, int64_t j, int64_t target, int c) {
  uint8_t x[SAMPLES], y[SAMPLES];
  int64_t above_x[BINS - 1], above_y[BINS - 1];
  int32_t joint[(BINS - 1) * (BINS - 1)];
  const int64_t n = gather_codes(i, target, c, x);
  gather_codes(j, target, c, y);
  if (n == 0) return 0;
  esp_count_joint_naive(x, y, n, BINS, joint);
  count_above(x, n, above_x);
  count_above(y, n, above_y);
  esp_entropy_table table;
  esp_entropy_table_init(&table, n);
  const double value = esp_compute_information_unclipped(
      &table, &(esp_pair_counts){
                  .joint = joint, .x = above_x, .y = above_y, .x_bins = BINS, .y_bins = BINS});
  esp_entropy_table_clear(&table);
  return (float)((double)n / ((double)SAMPLES * TARGETS) * value);
}

static void compute_naively(float *conditional) {
  for (int64_t i = 0; i < UNITS; i++)
    for (int64_t j = i; j < UNITS; j++) {
      float sum = 0;
      for (int64_t t = 0; t < TARGETS; t++)
        for (int c = 0; c < TARGET_BINS; c++) sum += naive_part(i, j, t, c);
      conditional[i * UNITS + j] = conditional[j * UNITS + i] = sum > 0 ? sum : 0;
    }
}

static void sweep_conditional_has_the_bits_of_the_three_way_histogram(void **state) {
  (void)state;
  float swept[UNITS * UNITS], naive[UNITS * UNITS];
  sweep(&test_comm, false, swept);
  compute_naively(naive);
  ASSERT_ALL(memcmp(swept, naive, sizeof swept) == 0);
}

static void sweep_conditional_has_the_same_bits_with_idle_ranks(void **state) {
  (void)state;
  float dealt[UNITS * UNITS], idle[UNITS * UNITS];
  sweep(&test_comm, false, dealt);
  sweep(&test_comm, true, idle);
  ASSERT_ALL(memcmp(dealt, idle, sizeof idle) == 0);
}

/* H(x_i|y) by its definition, corrected: I(x;x|y) on the diagonal. */
static double naive_entropy(int64_t unit) {
  double sum = 0;
  for (int64_t t = 0; t < TARGETS; t++)
    for (int c = 0; c < TARGET_BINS; c++) {
      uint8_t x[SAMPLES];
      const int64_t n = gather_codes(unit, t, c, x);
      double cells[BINS] = {0}, occupied = 0;
      for (int64_t s = 0; s < n; s++) cells[x[s]]++;
      for (int b = 0; b < BINS; b++) {
        occupied += cells[b] > 0;
        if (cells[b] > 0) sum -= cells[b] * log(cells[b] / (double)n) / (SAMPLES * TARGETS);
      }
      if (n > 0) sum += (occupied - 1) / (2. * SAMPLES * TARGETS);
    }
  return sum;
}

static void sweep_conditional_has_conditional_entropies_on_its_diagonal(void **state) {
  (void)state;
  float swept[UNITS * UNITS];
  double worst = 0;
  sweep(&test_comm, false, swept);
  for (int64_t u = 0; u < UNITS; u++)
    worst = fmax(worst, fabs((double)swept[u * UNITS + u] - naive_entropy(u)));
  ASSERT_ALL(worst < 1e-6 && swept[0] > 0.5F);
}

/* Units 7 and 8 share nothing but, given their exclusive or, all: log 2 of one target in three. */
static void sweep_conditional_sees_an_exclusive_or(void **state) {
  (void)state;
  float swept[UNITS * UNITS];
  sweep(&test_comm, false, swept);
  ASSERT_ALL(fabs((double)swept[7 * UNITS + 8] - log(2) / TARGETS) < 0.01);
}

static void sweep_conditional_of_a_constant_unit_is_zero(void **state) {
  (void)state;
  float swept[UNITS * UNITS];
  bool zero = true;
  sweep(&test_comm, false, swept);
  for (int64_t u = 0; u < UNITS; u++)
    zero = zero && swept[CONSTANT * UNITS + u] == 0 && swept[u * UNITS + CONSTANT] == 0;
  ASSERT_ALL(zero);
}

/* A site with itself: the same as two copies of it, the upper half mirrored. */
static void sweep_information_of_a_site_with_itself_is_symmetric(void **state) {
  (void)state;
  const int64_t begin = esp_block_begin(SAMPLES, test_comm.size, test_comm.rank);
  const int64_t end = esp_block_begin(SAMPLES, test_comm.size, test_comm.rank + 1);
  esp_planes x = make_planes(code_of, UNITS, BINS, begin, end), copy = x;
  float own[UNITS * UNITS], both[UNITS * UNITS];
  bool same = true;
  esp_sweep_information(&test_comm, &x, &x, SAMPLES, ESP_REDUCE_AUTO, own);
  esp_sweep_information(&test_comm, &x, &copy, SAMPLES, ESP_REDUCE_AUTO, both);
  for (int64_t i = 0; i < UNITS; i++)
    for (int64_t j = i; j < UNITS; j++)
      same = same && own[i * UNITS + j] == both[i * UNITS + j] &&
             own[j * UNITS + i] == own[i * UNITS + j];
  ASSERT_ALL(same && own[0] > 1);
  esp_planes_clear(&x);
}

ESP_TEST_MAIN(cmocka_unit_test_setup(sweep_conditional_has_the_bits_of_the_three_way_histogram,
                                     draw_all),
              cmocka_unit_test(sweep_conditional_has_the_same_bits_with_idle_ranks),
              cmocka_unit_test(sweep_conditional_has_conditional_entropies_on_its_diagonal),
              cmocka_unit_test(sweep_conditional_sees_an_exclusive_or),
              cmocka_unit_test(sweep_conditional_of_a_constant_unit_is_zero),
              cmocka_unit_test(sweep_information_of_a_site_with_itself_is_symmetric))
