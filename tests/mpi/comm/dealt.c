/* Arrays that are dealt in parts: sums of which every rank gets its part, parts put together. */
#include "mpi.h"

#include <string.h>

enum { MOST_RANKS = 64 };

/* How n values are dealt. */
typedef struct dealing {
  const char *name;
  int64_t (*own)(int rank);
} dealing;

static int64_t own_even(int rank) {
  (void)rank;
  return 5;
}
static int64_t own_rising(int rank) {
  return 3 * rank; // rank 0 has none
}
static int64_t own_last(int rank) {
  return rank == test_comm.size - 1 ? 4099 : 0;
}
static int64_t own_first(int rank) {
  return rank == 0 ? 70001 : 0;
}
static int64_t own_nothing(int rank) {
  (void)rank;
  return 0;
}

static const dealing dealings[] = {{"even", own_even},
                                   {"rising", own_rising},
                                   {"all on the last", own_last},
                                   {"all on the first", own_first},
                                   {"nothing", own_nothing}};

static int64_t deal(const dealing *how, int64_t *begins) {
  begins[0] = 0;
  for (int r = 0; r < test_comm.size; r++) begins[r + 1] = begins[r] + how->own(r);
  return begins[test_comm.size];
}

/* Of this rank, large enough that doubles would lose digits. */
static int64_t whole_of(int rank, int64_t i) {
  return ((int64_t)1 << 58) / test_comm.size + 1000 * i - rank;
}

static int64_t sum_whole(int64_t i) {
  int64_t sum = 0;
  for (int r = 0; r < test_comm.size; r++) sum += whole_of(r, i);
  return sum;
}

static bool sums_wholes(const dealing *how) {
  int64_t begins[MOST_RANKS + 1];
  const int64_t n = deal(how, begins), first = begins[test_comm.rank];
  const int64_t mine = begins[test_comm.rank + 1] - first;
  int64_t *values = ESP_NEW(int64_t, n), *part = ESP_NEW(int64_t, mine + 1);
  bool good = true;
  for (int64_t i = 0; i < n; i++) values[i] = whole_of(test_comm.rank, i);
  part[mine] = -7; // behind the part
  esp_reduce_scatter_i64(&test_comm, values, begins, part);
  for (int64_t i = 0; i < mine; i++) good = good && part[i] == sum_whole(first + i);
  for (int64_t i = 0; i < n; i++) good = good && values[i] == whole_of(test_comm.rank, i);
  good = good && part[mine] == -7;
  esp_free(&values);
  esp_free(&part);
  return good;
}

/* Halves and quarters, whose sums are exact. */
static bool sums_floats(const dealing *how) {
  int64_t begins[MOST_RANKS + 1];
  const int64_t n = deal(how, begins), first = begins[test_comm.rank];
  const int64_t mine = begins[test_comm.rank + 1] - first;
  float *values = ESP_NEW(float, n), *part = ESP_NEW(float, mine);
  bool good = true;
  for (int64_t i = 0; i < n; i++)
    values[i] = 0.25f * (float)(i % 64) - 0.5f * (float)test_comm.rank;
  esp_reduce_scatter_f32(&test_comm, values, begins, part);
  for (int64_t i = 0; i < mine; i++) {
    const float expected = (float)test_comm.size * 0.25f * (float)((first + i) % 64) -
                           0.25f * (float)(test_comm.size * (test_comm.size - 1));
    good = good && part[i] == expected;
  }
  esp_free(&values);
  esp_free(&part);
  return good;
}

/* What others have is wrong on this rank before, and right after. */
static bool puts_together(const dealing *how) {
  int64_t begins[MOST_RANKS + 1];
  const int64_t n = deal(how, begins);
  float *values = ESP_NEW(float, n + 1);
  bool good = true;
  for (int64_t i = 0; i < n; i++) {
    const bool is_mine = i >= begins[test_comm.rank] && i < begins[test_comm.rank + 1];
    values[i] = is_mine ? 0.5f * (float)i : -1.0f;
  }
  values[n] = -3.0f; // behind all
  esp_allgather_f32(&test_comm, begins, values);
  for (int64_t i = 0; i < n; i++) good = good && values[i] == 0.5f * (float)i;
  good = good && values[n] == -3.0f;
  esp_free(&values);
  return good;
}

static bool puts_doubles_together(const dealing *how) {
  int64_t begins[MOST_RANKS + 1];
  const int64_t n = deal(how, begins);
  double *values = ESP_NEW(double, n + 1);
  bool good = true;
  for (int64_t i = begins[test_comm.rank]; i < begins[test_comm.rank + 1]; i++)
    values[i] = 1.0 / (double)(i + 1);
  values[n] = -3.0; // behind all
  esp_allgather_f64(&test_comm, begins, values);
  for (int64_t i = 0; i < n; i++) good = good && values[i] == 1.0 / (double)(i + 1);
  good = good && values[n] == -3.0;
  esp_free(&values);
  return good;
}

static void check(bool (*does)(const dealing *how)) {
  for (size_t d = 0; d < ESP_COUNT(dealings); d++) {
    const bool good = test_all(does(&dealings[d]));
    if (!good) print_message("%s\n", dealings[d].name);
    assert_true(good);
  }
}

static void reduce_scatter_i64_gives_every_rank_its_part_of_the_sum(void **state) {
  (void)state;
  check(sums_wholes);
}

static void reduce_scatter_f32_gives_every_rank_its_part_of_the_sum(void **state) {
  (void)state;
  check(sums_floats);
}

static void allgather_f32_puts_the_parts_together(void **state) {
  (void)state;
  check(puts_together);
}

static void allgather_f64_puts_the_parts_together(void **state) {
  (void)state;
  check(puts_doubles_together);
}

/* What one action adds to this rank's traffic is one call of one kind, with these bytes; nothing on
 * a single rank. */
static bool adds(bool (*action)(const dealing *how), esp_collective kind, int64_t bytes) {
  const esp_traffic before = *esp_comm_get_traffic_local(&test_comm);
  action(&dealings[1]);
  const esp_traffic after = *esp_comm_get_traffic_local(&test_comm);
  bool good = true;
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) {
    const bool counts = i == (int)kind && test_comm.size > 1;
    good = good && after.calls[i] - before.calls[i] == (counts ? 1 : 0) &&
           after.bytes[i] - before.bytes[i] == (counts ? bytes : 0);
  }
  return test_all(good);
}

/* A reduction is given all of the values, a gathering this rank's. */
static void dealt_arrays_are_counted_by_their_kind(void **state) {
  (void)state;
  int64_t begins[MOST_RANKS + 1];
  const int64_t n = deal(&dealings[1], begins), mine = own_rising(test_comm.rank);
  assert_true(adds(sums_wholes, ESP_REDUCE_SCATTER, 8 * n));
  assert_true(adds(sums_floats, ESP_REDUCE_SCATTER, 4 * n));
  assert_true(adds(puts_together, ESP_ALLGATHER, 4 * mine));
}

static void a_local_communicator_deals_to_itself(void **state) {
  (void)state;
  esp_comm alone;
  const int64_t values[3] = {4, -5, 6}, begins[2] = {0, 3};
  int64_t part[3];
  float floats[3] = {1.0f, 2.0f, 3.0f}, sum[3];
  esp_comm_init_local(&alone);
  esp_reduce_scatter_i64(&alone, values, begins, part);
  esp_reduce_scatter_f32(&alone, floats, begins, sum);
  esp_allgather_f32(&alone, begins, floats);
  esp_comm_clear(&alone);
  ASSERT_ALL(memcmp(part, values, sizeof part) == 0 && memcmp(sum, floats, sizeof sum) == 0 &&
             floats[2] == 3.0f);
}

ESP_TEST_MAIN(cmocka_unit_test(reduce_scatter_i64_gives_every_rank_its_part_of_the_sum),
              cmocka_unit_test(reduce_scatter_f32_gives_every_rank_its_part_of_the_sum),
              cmocka_unit_test(allgather_f32_puts_the_parts_together),
              cmocka_unit_test(allgather_f64_puts_the_parts_together),
              cmocka_unit_test(dealt_arrays_are_counted_by_their_kind),
              cmocka_unit_test(a_local_communicator_deals_to_itself))
