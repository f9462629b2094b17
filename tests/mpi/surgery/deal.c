#include "mpi.h"

#include "deal.h"

#include <string.h>

enum { ROWS = 2 * DEAL_ROWS + 37, WIDTH = 3 };

typedef struct filling {
  float *values;
  double *parts;
  int64_t rows;
} filling;

static float value_of(int64_t i) {
  return (float)esp_rng_normal(5, 0, (uint64_t)i);
}

static void fill_block(void *context, int64_t begin, int64_t count) {
  filling *self = context;
  for (int64_t i = begin * WIDTH; i < (begin + count) * WIDTH; i++) {
    self->values[i] = value_of(i);
    self->parts[begin / DEAL_ROWS] += (double)self->values[i];
  }
}

/* Whether all ranks have what one has alone, bit for bit. */
static bool is_same_as_alone(int64_t rows) {
  esp_comm alone;
  esp_comm_init_local(&alone);
  const int64_t blocks = deal_count_blocks(rows);
  filling dealt = {ESP_NEW(float, rows *WIDTH), ESP_NEW(double, blocks), rows};
  filling whole = {ESP_NEW(float, rows *WIDTH), ESP_NEW(double, blocks), rows};
  deal_run_local(&test_comm, rows, fill_block, &dealt);
  deal_run_local(&alone, rows, fill_block, &whole);
  deal_gather_rows(&test_comm, rows, WIDTH, dealt.values);
  bool same = deal_sum(&test_comm, rows, dealt.parts) == deal_sum(&alone, rows, whole.parts);
  same = same && memcmp(dealt.values, whole.values, (size_t)(rows * WIDTH) * sizeof(float)) == 0;
  for (int64_t i = 0; i < rows * WIDTH; i++) same = same && dealt.values[i] == value_of(i);
  esp_free(&dealt.values);
  esp_free(&dealt.parts);
  esp_free(&whole.values);
  esp_free(&whole.parts);
  return esp_agree_sum_i64(&test_comm, same) == test_comm.size;
}

static void rows_and_sums_are_those_of_one_rank(void **state) {
  (void)state;
  assert_true(is_same_as_alone(ROWS));
}

static void fewer_blocks_than_ranks_are_fine(void **state) {
  (void)state;
  assert_true(is_same_as_alone(5));
  assert_true(is_same_as_alone(0));
}

ESP_TEST_MAIN(cmocka_unit_test(rows_and_sums_are_those_of_one_rank),
              cmocka_unit_test(fewer_blocks_than_ranks_are_fine))
