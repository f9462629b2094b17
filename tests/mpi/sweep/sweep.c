#include "espalier/sweep/sweep.h"

#include "espalier/information/information.h"
#include "mpi.h"

#include <math.h>
#include <string.h>

enum { X_UNITS = 9, Y_UNITS = 5, SAMPLES = 333, MOST_BINS = 5 };

/* Codes of a few units that depend on each other: x is a noisy, quantised common signal. Unit 3
 * never varies. */
static int code_of(int64_t unit, int64_t sample, int bins) {
  if (unit == 3) return 0;
  const double common = esp_rng_normal(1, (uint64_t)(unit % 3), (uint64_t)sample);
  const double own = esp_rng_normal(2, (uint64_t)unit, (uint64_t)sample);
  const int code = (int)floor(common + 0.5 * own + 0.5 * bins);
  return code < 0 ? 0 : code >= bins ? bins - 1 : code;
}

/* The planes of samples [begin, end), by the definition; every rank's last word is partly empty. */
static esp_planes make_planes(int64_t first_unit, int64_t units, int bins, int64_t begin,
                              int64_t end) {
  esp_planes planes;
  esp_planes_init(&planes, units, bins, (end - begin + 63) / 64);
  for (int64_t u = 0; u < units; u++)
    for (int a = 1; a < bins; a++)
      for (int64_t s = begin; s < end; s++)
        if (code_of(first_unit + u, s, bins) >= a)
          planes.words[(u * (bins - 1) + a - 1) * planes.stride + (s - begin) / 64] |=
              UINT64_C(1) << ((s - begin) % 64);
  return planes;
}

/* This rank's block of samples; with idle, rank 0 has all of them. */
static void deal(const esp_comm *comm, bool idle, int64_t *begin, int64_t *end) {
  *begin = idle ? 0 : esp_block_begin(SAMPLES, comm->size, comm->rank);
  *end =
      idle ? (comm->rank == 0 ? SAMPLES : 0) : esp_block_begin(SAMPLES, comm->size, comm->rank + 1);
}

static void sweep_information(const esp_comm *comm, bool idle, float *information) {
  int64_t begin, end;
  deal(comm, idle, &begin, &end);
  esp_planes x = make_planes(0, X_UNITS, 4, begin, end);
  esp_planes y = make_planes(2, Y_UNITS, MOST_BINS, begin, end);
  esp_sweep_information(comm, &x, &y, SAMPLES, ESP_REDUCE_AUTO, information);
  esp_planes_clear(&x);
  esp_planes_clear(&y);
}

static void sweep_correlation(const esp_comm *comm, bool idle, double *correlation) {
  int64_t begin, end;
  deal(comm, idle, &begin, &end);
  esp_planes x = make_planes(0, X_UNITS, 4, begin, end);
  const int owner = comm->size - 1;
  esp_sweep_correlation(comm, &x, SAMPLES, ESP_REDUCE_AUTO, owner,
                        comm->rank == owner ? correlation : NULL);
  esp_bcast(comm, correlation, X_UNITS * X_UNITS * (int64_t)sizeof *correlation, owner);
  esp_planes_clear(&x);
}

/* I(x; y) from the histogram of two units' codes, with Miller-Madow. */
static double naive_information(int64_t i, int64_t j) {
  double joint[4][MOST_BINS] = {{0}}, x[4] = {0}, y[MOST_BINS] = {0}, sum = 0, cells = 1;
  for (int64_t s = 0; s < SAMPLES; s++)
    joint[code_of(i, s, 4)][code_of(2 + j, s, MOST_BINS)] += 1.0 / SAMPLES;
  for (int a = 0; a < 4; a++)
    for (int b = 0; b < MOST_BINS; b++) {
      x[a] += joint[a][b];
      y[b] += joint[a][b];
    }
  for (int a = 0; a < 4; a++)
    for (int b = 0; b < MOST_BINS; b++)
      if (joint[a][b] > 0) {
        sum += joint[a][b] * log(joint[a][b] / (x[a] * y[b]));
        cells++;
      }
  for (int a = 0; a < 4; a++) cells -= x[a] > 0;
  for (int b = 0; b < MOST_BINS; b++) cells -= y[b] > 0;
  return fmax(0, sum - cells / (2 * SAMPLES));
}

static double naive_covariance(int64_t i, int64_t j) {
  double xy = 0, x = 0, y = 0;
  for (int64_t s = 0; s < SAMPLES; s++) {
    const double a = code_of(i, s, 4), b = code_of(j, s, 4);
    xy += a * b / SAMPLES;
    x += a / SAMPLES;
    y += b / SAMPLES;
  }
  return xy - x * y;
}

static void sweep_information_is_the_histogram_s(void **state) {
  (void)state;
  float information[X_UNITS * Y_UNITS];
  sweep_information(&test_comm, false, information);
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < X_UNITS; i++)
    for (int64_t j = 0; j < Y_UNITS; j++) {
      const double expected = naive_information(i, j);
      worst = fmax(worst, fabs(information[i * Y_UNITS + j] - expected));
      largest = fmax(largest, expected);
    }
  ASSERT_ALL(worst < 1e-6 && largest > 0.3);
}

static void sweep_information_of_a_constant_unit_is_zero(void **state) {
  (void)state;
  float information[X_UNITS * Y_UNITS];
  sweep_information(&test_comm, false, information);
  bool zero = true;
  for (int64_t j = 0; j < Y_UNITS; j++) zero = zero && information[3 * Y_UNITS + j] == 0;
  for (int64_t i = 0; i < X_UNITS; i++) zero = zero && information[i * Y_UNITS + 1] == 0;
  ASSERT_ALL(zero);
}

static void sweep_information_has_the_same_bits_at_any_rank_count(void **state) {
  (void)state;
  float dealt[X_UNITS * Y_UNITS], whole[X_UNITS * Y_UNITS], idle[X_UNITS * Y_UNITS];
  esp_comm alone;
  esp_comm_init_local(&alone);
  sweep_information(&test_comm, false, dealt);
  sweep_information(&test_comm, true, idle); // ranks without a sample take part
  sweep_information(&alone, false, whole);
  ASSERT_ALL(memcmp(dealt, whole, sizeof whole) == 0 && memcmp(idle, whole, sizeof whole) == 0);
  esp_comm_clear(&alone);
}

static void sweep_correlation_is_that_of_the_codes(void **state) {
  (void)state;
  double correlation[X_UNITS * X_UNITS], worst = 0;
  sweep_correlation(&test_comm, false, correlation);
  for (int64_t i = 0; i < X_UNITS; i++)
    for (int64_t j = 0; j < X_UNITS; j++) {
      const bool constant = i == 3 || j == 3;
      const double scale = sqrt(naive_covariance(i, i) * naive_covariance(j, j));
      const double expected = constant ? 0 : naive_covariance(i, j) / scale;
      worst = fmax(worst, fabs(correlation[i * X_UNITS + j] - expected));
    }
  ASSERT_ALL(worst < 1e-12 && correlation[0] == 1 && correlation[3 * X_UNITS + 3] == 0);
}

static void sweep_correlation_has_the_same_bits_at_any_rank_count(void **state) {
  (void)state;
  double dealt[X_UNITS * X_UNITS], whole[X_UNITS * X_UNITS], idle[X_UNITS * X_UNITS];
  esp_comm alone;
  esp_comm_init_local(&alone);
  sweep_correlation(&test_comm, false, dealt);
  sweep_correlation(&test_comm, true, idle);
  sweep_correlation(&alone, false, whole);
  ASSERT_ALL(memcmp(dealt, whole, sizeof whole) == 0 && memcmp(idle, whole, sizeof whole) == 0);
  esp_comm_clear(&alone);
}

static void sweep_marginals_count_all_ranks_samples(void **state) {
  (void)state;
  int64_t begin, end, marginals[X_UNITS * 3];
  deal(&test_comm, false, &begin, &end);
  esp_planes x = make_planes(0, X_UNITS, 4, begin, end);
  esp_sweep_marginals(&test_comm, &x, marginals);
  bool same = true;
  for (int64_t i = 0; i < X_UNITS * 3; i++) {
    int64_t above = 0;
    for (int64_t s = 0; s < SAMPLES; s++) above += code_of(i / 3, s, 4) > i % 3;
    same = same && marginals[i] == above;
  }
  ASSERT_ALL(same);
  esp_planes_clear(&x);
}

/* How often each pair was visited, and whether its counts were those of all ranks' samples. */
typedef struct visits {
  int64_t times[X_UNITS][X_UNITS];
  int64_t tiles, wrong;
} visits;

static void visit(void *context, const esp_tile *tile, const int32_t *counts) {
  visits *self = context;
  self->tiles++;
  for (int64_t i = 0; i < tile->nx; i++)
    for (int64_t j = 0; j < tile->ny; j++) {
      const int64_t x = tile->x_begin + i, y = tile->y_begin + j;
      int64_t both = 0;
      for (int64_t s = 0; s < SAMPLES; s++) both += code_of(x, s, 2) > 0 && code_of(y, s, 2) > 0;
      self->times[x][y]++;
      self->wrong += counts[i * tile->ny + j] != both;
    }
}

static visits visit_tiles(int64_t side, bool is_symmetric) {
  visits seen = {0};
  int64_t begin, end;
  deal(&test_comm, false, &begin, &end);
  esp_planes x = make_planes(0, X_UNITS, 2, begin, end);
  esp_sweep_pairs(&test_comm, &(esp_sweep){.x = &x,
                                           .y = &x,
                                           .is_symmetric = is_symmetric,
                                           .tile = side,
                                           .visit = visit,
                                           .context = &seen});
  esp_allreduce_sum_i64(&test_comm, &seen.times[0][0], sizeof seen / sizeof(int64_t));
  esp_planes_clear(&x);
  return seen;
}

static void sweep_pairs_visits_every_pair_on_one_rank(void **state) {
  (void)state;
  const visits seen = visit_tiles(4, false);
  bool once = seen.tiles == 9 && seen.wrong == 0;
  for (int i = 0; i < X_UNITS; i++)
    for (int j = 0; j < X_UNITS; j++) once = once && seen.times[i][j] == 1;
  ASSERT_ALL(once);
}

static void sweep_pairs_symmetric_visits_the_upper_half(void **state) {
  (void)state;
  const visits seen = visit_tiles(4, true);
  bool once = seen.tiles == 6 && seen.wrong == 0;
  for (int i = 0; i < X_UNITS; i++)
    for (int j = 0; j < X_UNITS; j++) once = once && seen.times[i][j] == (i / 4 <= j / 4);
  ASSERT_ALL(once);
}

static void sweep_pairs_takes_fewer_tiles_than_ranks(void **state) {
  (void)state;
  const visits seen = visit_tiles(0, false); // one tile
  ASSERT_ALL(seen.tiles == 1 && seen.wrong == 0 && seen.times[X_UNITS - 1][0] == 1);
}

/* Matched pairs are the diagonal of all pairs, also where one rank has all samples. */
static void check_matched(bool idle) {
  int64_t begin, end;
  deal(&test_comm, idle, &begin, &end);
  esp_planes x = make_planes(0, Y_UNITS, 4, begin, end);
  esp_planes y = make_planes(1, Y_UNITS, MOST_BINS, begin, end);
  float all[Y_UNITS * Y_UNITS];
  double matched[Y_UNITS];
  esp_sweep_information(&test_comm, &x, &y, SAMPLES, ESP_REDUCE_AUTO, all);
  esp_sweep_matched(&test_comm, &x, &y, SAMPLES, matched);
  for (int u = 0; u < Y_UNITS; u++) ASSERT_ALL((float)matched[u] == all[u * Y_UNITS + u]);
  esp_planes_clear(&x);
  esp_planes_clear(&y);
}

static void sweep_matched_is_the_diagonal_of_all_pairs(void **state) {
  (void)state;
  check_matched(false);
  check_matched(true);
}

ESP_TEST_MAIN(cmocka_unit_test(sweep_matched_is_the_diagonal_of_all_pairs),
              cmocka_unit_test(sweep_information_is_the_histogram_s),
              cmocka_unit_test(sweep_information_of_a_constant_unit_is_zero),
              cmocka_unit_test(sweep_information_has_the_same_bits_at_any_rank_count),
              cmocka_unit_test(sweep_correlation_is_that_of_the_codes),
              cmocka_unit_test(sweep_correlation_has_the_same_bits_at_any_rank_count),
              cmocka_unit_test(sweep_marginals_count_all_ranks_samples),
              cmocka_unit_test(sweep_pairs_visits_every_pair_on_one_rank),
              cmocka_unit_test(sweep_pairs_symmetric_visits_the_upper_half),
              cmocka_unit_test(sweep_pairs_takes_fewer_tiles_than_ranks))
