/* Data over ranks, each kind counted once; panics that name their rank. */
#include "espalier/comm/exchange.h"
#include "espalier/comm/request.h"

#include "mpi.h"
#include "panic.h"

#include <math.h>
#include <string.h>

static int last_rank(void) {
  return test_comm.size - 1;
}

static int64_t sum_of_ranks(void) {
  return (int64_t)test_comm.size * (test_comm.size - 1) / 2;
}

static void allreduce_sum_i32_is_exact(void **state) {
  (void)state;
  int32_t values[2] = {INT32_MIN + 10 + test_comm.rank, test_comm.rank};
  if (test_comm.rank > 0) values[0] = test_comm.rank;
  esp_allreduce_sum_i32(&test_comm, values, 2);
  ASSERT_ALL(values[0] == INT32_MIN + 10 + sum_of_ranks() && values[1] == sum_of_ranks());
}

static void allreduce_max_f64_takes_each_place_for_itself(void **state) {
  (void)state;
  double values[3] = {-1.0 - test_comm.rank, test_comm.rank, -INFINITY};
  esp_allreduce_max_f64(&test_comm, values, 3);
  ASSERT_ALL(values[0] == -1.0 && values[1] == last_rank() && values[2] == -INFINITY);
}

static void allreduces_of_nothing_are_fine(void **state) {
  (void)state;
  esp_allreduce_sum_i32(&test_comm, NULL, 0);
  esp_allreduce_max_f64(&test_comm, NULL, 0);
  ASSERT_ALL(true);
}

static void agree_on_numbers_beyond_doubles(void **state) {
  (void)state;
  const int64_t big = ((int64_t)1 << 60) + 1;
  ASSERT_ALL(esp_agree_max_i64(&test_comm, big - test_comm.rank) == big);
  ASSERT_ALL(esp_agree_sum_i64(&test_comm, test_comm.rank == 0 ? big : 1) == big + last_rank());
}

static void allgather_i64_gives_all_ranks_all(void **state) {
  (void)state;
  int64_t *values = ESP_NEW(int64_t, test_comm.size);
  esp_allgather_i64(&test_comm, ESP_CONTROL, -7 * test_comm.rank, values);
  bool same = true;
  for (int r = 0; r < test_comm.size; r++) same = same && values[r] == -7 * r;
  esp_free(&values);
  ASSERT_ALL(same);
}

enum { WIDTH = 3 };

/* Rank r has r rows (so that rank 0 has none), whose floats count on over all ranks. */
static bool gathers_rows(int root) {
  int64_t *counts = ESP_NEW(int64_t, test_comm.size);
  for (int r = 0; r < test_comm.size; r++) counts[r] = r;
  const int64_t first = (int64_t)test_comm.rank * (test_comm.rank - 1) / 2;
  float *rows = ESP_NEW(float, test_comm.rank *WIDTH),
        *all = ESP_NEW(float, sum_of_ranks() * WIDTH);
  for (int i = 0; i < test_comm.rank * WIDTH; i++) rows[i] = (float)(first * WIDTH + i);
  esp_gather_rows_f32(&test_comm, rows, WIDTH, counts, root, test_comm.rank == root ? all : NULL);
  bool same = true;
  for (int64_t i = 0; test_comm.rank == root && i < sum_of_ranks() * WIDTH; i++)
    same = same && all[i] == (float)i;
  esp_free(&all);
  esp_free(&rows);
  esp_free(&counts);
  return same;
}

static void gather_rows_keeps_the_order_of_ranks(void **state) {
  (void)state;
  ASSERT_ALL(gathers_rows(0));
  ASSERT_ALL(gathers_rows(last_rank()));
}

static void requests_may_be_two_under_way(void **state) {
  (void)state;
  int32_t a[2] = {test_comm.rank, 1}, b[1] = {-test_comm.rank};
  esp_request *first = esp_iallreduce_sum_i32(&test_comm, a, 2);
  esp_request *second = esp_iallreduce_sum_i32(&test_comm, b, 1);
  esp_request_test(first);
  esp_request_wait(&second);
  esp_request_test(first); // complete or not
  esp_request_wait(&first);
  ASSERT_ALL(a[0] == sum_of_ranks() && a[1] == test_comm.size && b[0] == -sum_of_ranks());
  ASSERT_ALL(!first && !second);
}

static void requests_of_nothing_are_fine(void **state) {
  (void)state;
  esp_request *none = NULL;
  esp_request_test(none);
  esp_request_wait(&none);
  esp_request *empty = esp_iallreduce_sum_i32(&test_comm, NULL, 0);
  esp_request_wait(&empty);
  ASSERT_ALL(!none && !empty);
}

enum { ROWS = 6, STRIDE = 40 };

static uint64_t word_of(int64_t row, int64_t word) {
  return (uint64_t)(1000 * row + word + 1);
}

/* Rank r has 1 + r words of every row (gaps behind them), and gets row r mod 6, then rows 4 and 5;
 * the last of several ranks gets none. */
typedef struct rows_of_ranks {
  uint64_t from[ROWS * STRIDE], to[3 * STRIDE];
  esp_row_range ranges[2 * 8];
  int64_t first_range[8 + 1], first_word[8 + 1];
} rows_of_ranks;

static void deal_rows(rows_of_ranks *self) {
  *self = (rows_of_ranks){0};
  for (int r = 0; r < test_comm.size; r++) {
    const bool is_idle = r > 0 && r == last_rank();
    esp_row_range *mine = &self->ranges[self->first_range[r]];
    if (!is_idle) {
      mine[0] = (esp_row_range){r % ROWS, 1};
      mine[1] = (esp_row_range){4, 2};
    }
    self->first_range[r + 1] = self->first_range[r] + (is_idle ? 0 : 2);
    self->first_word[r + 1] = self->first_word[r] + 1 + r;
  }
  const int64_t first = self->first_word[test_comm.rank];
  for (int64_t row = 0; row < ROWS; row++)
    for (int64_t i = 0; i <= test_comm.rank; i++)
      self->from[row * STRIDE + i] = word_of(row, first + i);
}

static int64_t exchange_dealt(rows_of_ranks *self) {
  deal_rows(self);
  const int64_t rows = test_comm.rank > 0 && test_comm.rank == last_rank() ? 0 : 3;
  esp_exchange_rows(&test_comm, &(esp_row_exchange){.from = self->from,
                                                    .from_stride = STRIDE,
                                                    .ranges = self->ranges,
                                                    .first_range = self->first_range,
                                                    .first_word = self->first_word,
                                                    .to = self->to,
                                                    .to_rows = rows,
                                                    .to_stride = STRIDE});
  return rows;
}

static void exchange_rows_gives_whole_rows(void **state) {
  (void)state;
  rows_of_ranks mine;
  const int64_t rows = exchange_dealt(&mine), got[3] = {test_comm.rank % ROWS, 4, 5};
  bool same = true;
  for (int64_t row = 0; row < 3; row++)
    for (int64_t i = 0; i < STRIDE; i++) {
      const bool is_there = row < rows && i < mine.first_word[test_comm.size];
      same = same && mine.to[row * STRIDE + i] == (is_there ? word_of(got[row], i) : 0);
    }
  ASSERT_ALL(same);
}

static void transfer_goes_from_one_rank_to_another(void **state) {
  (void)state;
  int32_t values[2] = {test_comm.rank, 10 * test_comm.rank};
  esp_transfer_i32(&test_comm, values, 2, last_rank(), 0);
  const int from = test_comm.rank == 0 ? last_rank() : test_comm.rank;
  ASSERT_ALL(values[0] == from && values[1] == 10 * from);
}

/* What one action adds to this rank's traffic is one call of one kind, with these bytes. */
static bool adds(void (*action)(void), esp_collective kind, int64_t calls, int64_t bytes) {
  const esp_traffic before = *esp_comm_get_traffic_local(&test_comm);
  action();
  const esp_traffic after = *esp_comm_get_traffic_local(&test_comm);
  bool good = true;
  for (int i = 0; i < ESP_N_COLLECTIVES; i++) {
    const bool counts = i == (int)kind && test_comm.size > 1;
    good = good && after.calls[i] - before.calls[i] == (counts ? calls : 0) &&
           after.bytes[i] - before.bytes[i] == (counts ? bytes : 0);
  }
  return test_all(good);
}

static void sum_three(void) {
  int32_t values[3] = {0};
  esp_allreduce_sum_i32(&test_comm, values, 3);
}
static void begin_five(void) {
  int32_t values[5] = {0};
  esp_request *request = esp_iallreduce_sum_i32(&test_comm, values, 5);
  esp_request_wait(&request);
}
static void bcast_seven(void) {
  char bytes[7] = {0};
  esp_bcast(&test_comm, bytes, sizeof bytes, 0);
}
static void gather_numbers(void) {
  int64_t values[8];
  esp_allgather_i64(&test_comm, ESP_GATHER, 1, values);
}
static void gather_rows(void) {
  gathers_rows(0);
}
static void exchange_rows(void) {
  rows_of_ranks mine;
  exchange_dealt(&mine);
}
static void transfer_four(void) {
  int32_t values[4] = {0};
  esp_transfer_i32(&test_comm, values, 4, 0, last_rank());
}
static void agree_well(void) {
  esp_agree(&test_comm, ESP_OK);
}
static void agree_or_end_well(void) {
  esp_agree_or_end(&test_comm, ESP_OK);
}

static void data_are_counted_by_their_kind(void **state) {
  (void)state;
  const bool is_last = test_comm.rank == last_rank();
  rows_of_ranks mine;
  deal_rows(&mine);
  const int64_t others = mine.first_word[test_comm.size] - 1 - test_comm.rank;
  assert_true(adds(sum_three, ESP_ALLREDUCE, 1, 12));
  assert_true(adds(begin_five, ESP_IALLREDUCE, 1, 20));
  assert_true(adds(bcast_seven, ESP_BCAST, 1, 7));
  assert_true(adds(gather_numbers, ESP_GATHER, 1, 8));
  assert_true(adds(gather_rows, ESP_GATHER, 1, 4 * WIDTH * test_comm.rank));
  assert_true(adds(exchange_rows, ESP_EXCHANGE, 1, is_last ? 0 : 3 * 8 * others));
  assert_true(adds(transfer_four, ESP_EXCHANGE, is_last, is_last ? 16 : 0));
  assert_true(adds(agree_well, ESP_AGREEMENT, 1, 4));
  assert_true(adds(agree_or_end_well, ESP_AGREEMENT, 1, 4));
}

static void agree_on_a_number(void) {
  esp_agree_max_i64(&test_comm, 1);
}
static void wait_for_all(void) {
  esp_barrier(&test_comm);
}
static void spread_a_number(void) {
  esp_compute_spread(&test_comm, 1.0);
}

static void what_steers_is_counted_as_control(void **state) {
  (void)state;
  assert_true(adds(agree_on_a_number, ESP_CONTROL, 1, 8));
  assert_true(adds(wait_for_all, ESP_CONTROL, 1, 0));
  assert_true(adds(spread_a_number, ESP_CONTROL, 3, 32));
}

static void the_text_of_a_failure_is_counted_as_control(void **state) {
  (void)state;
  const esp_traffic before = *esp_comm_get_traffic_local(&test_comm);
  esp_agree(&test_comm, test_comm.rank == last_rank() ? esp_fail(ESP_IO, "bad") : ESP_OK);
  const esp_traffic after = *esp_comm_get_traffic_local(&test_comm);
  const int64_t calls = after.calls[ESP_CONTROL] - before.calls[ESP_CONTROL];
  const int64_t bytes = after.bytes[ESP_CONTROL] - before.bytes[ESP_CONTROL];
  ASSERT_ALL(test_comm.size > 1 ? calls == 1 && bytes == 1028 : calls == 0 && bytes == 0);
}

static void every_communicator_counts_for_itself(void **state) {
  (void)state;
  esp_comm copy;
  esp_comm_init(&copy, esp_comm_get_handle_local(&test_comm));
  const esp_traffic before = *esp_comm_get_traffic_local(&test_comm);
  esp_bcast(&copy, &(int){0}, 4, 0);
  const int64_t added = esp_comm_get_traffic_local(&copy)->bytes[ESP_BCAST];
  const bool same = memcmp(&before, esp_comm_get_traffic_local(&test_comm), sizeof before) == 0;
  esp_comm_clear(&copy);
  ASSERT_ALL(same && added == (test_comm.size > 1 ? 4 : 0));
}

static void a_local_communicator_is_one_rank(void **state) {
  (void)state;
  esp_comm alone;
  esp_comm_init_local(&alone);
  const bool good = alone.rank == 0 && alone.size == 1 &&
                    esp_agree_sum_i64(&alone, test_comm.rank) == test_comm.rank &&
                    esp_comm_get_traffic_local(&alone)->calls[ESP_CONTROL] == 0;
  esp_comm_clear(&alone);
  ASSERT_ALL(good);
}

static void use_pretended(void) {
  const esp_comm pretended = esp_comm_pretend(2, 5);
  esp_barrier(&pretended);
}

static void a_pretended_communicator_has_ranges_but_sends_nothing(void **state) {
  (void)state;
  const esp_comm third = esp_comm_pretend(2, 5);
  char text[256];
  ASSERT_ALL(esp_block_begin(10, third.size, third.rank) == 4);
  ASSERT_ALL(test_panics(use_pretended, text, sizeof text));
}

static void fail_here(void) {
  ESP_ASSERT(strlen("ab") == 3);
}

static void a_panic_names_the_rank(void **state) {
  (void)state;
  char text[256], expected[64];
  const bool panicked = test_panics(fail_here, text, sizeof text);
  snprintf(expected, sizeof expected, "espalier: rank %d: ", test_comm.rank);
  ASSERT_ALL(panicked && strncmp(text, expected, strlen(expected)) == 0 &&
             strstr(text, "collectives.c:"));
}

ESP_TEST_MAIN(cmocka_unit_test(allreduce_sum_i32_is_exact),
              cmocka_unit_test(allreduce_max_f64_takes_each_place_for_itself),
              cmocka_unit_test(allreduces_of_nothing_are_fine),
              cmocka_unit_test(agree_on_numbers_beyond_doubles),
              cmocka_unit_test(allgather_i64_gives_all_ranks_all),
              cmocka_unit_test(gather_rows_keeps_the_order_of_ranks),
              cmocka_unit_test(requests_may_be_two_under_way),
              cmocka_unit_test(requests_of_nothing_are_fine),
              cmocka_unit_test(exchange_rows_gives_whole_rows),
              cmocka_unit_test(transfer_goes_from_one_rank_to_another),
              cmocka_unit_test(data_are_counted_by_their_kind),
              cmocka_unit_test(what_steers_is_counted_as_control),
              cmocka_unit_test(the_text_of_a_failure_is_counted_as_control),
              cmocka_unit_test(every_communicator_counts_for_itself),
              cmocka_unit_test(a_local_communicator_is_one_rank),
              cmocka_unit_test(a_pretended_communicator_has_ranges_but_sends_nothing),
              cmocka_unit_test(a_panic_names_the_rank))
