#include "espalier/linalg/exact.h"

#include "mpi.h"

#include <math.h>
#include <string.h>

enum { N = 19, UNITS = 141 };

static void fill_batch(float *values, int64_t batch) {
  for (int64_t i = 0; i < N * UNITS; i++)
    values[i] = (float)esp_rng_normal(3, (uint64_t)batch, (uint64_t)i);
}

/* Sums over micro-batches [begin, end): of a'a, or of a' and the first column of a. */
static esp_exact add_batches(int64_t begin, int64_t end, bool gram) {
  esp_exact sums;
  float *a = ESP_NEW(float, (N * UNITS));
  esp_exact_init(&sums, UNITS, gram ? UNITS : 3, NULL, NULL);
  for (int64_t batch = begin; batch < end; batch++) {
    fill_batch(a, batch);
    ESP_ASSERT(esp_exact_add_local(&sums, N, a, UNITS, a, UNITS) == ESP_OK);
  }
  esp_free(&a);
  return sums;
}

/* Bit for bit; of a Gram matrix the upper half is stored. */
static bool has_same_sums(const esp_exact *one, const esp_exact *other) {
  bool same = one->symmetric == other->symmetric;
  for (int64_t i = 0; i < one->rows; i++)
    for (int64_t j = one->symmetric ? i : 0; j < one->cols; j++)
      same = same && one->sum[i * one->cols + j] == other->sum[i * one->cols + j];
  return same;
}

/* True iff the sums dealt to the ranks and reduced are those of one rank alone, bit for bit. */
static bool is_same_as_alone(int64_t batches, bool gram) {
  esp_comm alone;
  esp_comm_init_local(&alone);
  const int64_t begin = esp_block_begin(batches, test_comm.size, test_comm.rank);
  const int64_t end = esp_block_begin(batches, test_comm.size, test_comm.rank + 1);
  esp_exact dealt = add_batches(begin, end, gram), whole = add_batches(0, batches, gram);
  bool same = esp_exact_reduce(&test_comm, &dealt) == ESP_OK;
  same = esp_exact_reduce(&alone, &whole) == ESP_OK && same;
  same = same && has_same_sums(&dealt, &whole);
  esp_exact_clear(&dealt);
  esp_exact_clear(&whole);
  esp_comm_clear(&alone);
  return same;
}

static void reduce_gives_the_bits_of_one_rank(void **state) {
  (void)state;
  ASSERT_ALL(is_same_as_alone(11, true));
  ASSERT_ALL(is_same_as_alone(11, false));
}

static void reduce_takes_fewer_batches_than_ranks(void **state) {
  (void)state;
  ASSERT_ALL(is_same_as_alone(1, true));
  ASSERT_ALL(is_same_as_alone(2, false));
  ASSERT_ALL(is_same_as_alone(0, true));
}

/* Rows of any part of the matrix, whichever half is stored. */
static bool get_rows_equals_get(const esp_exact *sums, int64_t begin, int64_t end) {
  double *rows = ESP_NEW(double, (end - begin) * UNITS);
  bool same = true;
  esp_exact_get_rows(sums, begin, end, rows);
  for (int64_t i = begin; i < end; i++)
    for (int64_t j = 0; j < UNITS; j++)
      same = same && rows[(i - begin) * UNITS + j] == esp_exact_get(sums, i, j);
  esp_free(&rows);
  return same;
}

static void reduce_gives_every_rank_both_halves_of_a_gram_matrix(void **state) {
  (void)state;
  esp_exact sums = add_batches(0, test_comm.rank == 0, true); // the others have no micro-batch
  const esp_status status = esp_exact_reduce(&test_comm, &sums);
  bool mirrored = sums.sum[0] > 0;
  for (int64_t i = 0; i < UNITS; i++)
    for (int64_t j = 0; j < i; j++)
      mirrored = mirrored && esp_exact_get(&sums, i, j) != 0 &&
                 esp_exact_get(&sums, i, j) == esp_exact_get(&sums, j, i);
  mirrored = mirrored && get_rows_equals_get(&sums, 0, UNITS) && get_rows_equals_get(&sums, 3, 35);
  esp_exact_clear(&sums);
  ASSERT_ALL(status == ESP_OK && mirrored);
}

static void merge_of_two_parts_is_the_sum_of_all(void **state) {
  (void)state;
  esp_exact part = add_batches(0, 3, true), rest = add_batches(3, 5, true);
  esp_exact whole = add_batches(0, 5, true);
  bool same = esp_exact_reduce(&test_comm, &part) == ESP_OK;
  same = esp_exact_reduce(&test_comm, &rest) == ESP_OK && same;
  same = esp_exact_reduce(&test_comm, &whole) == ESP_OK && same;
  esp_exact_merge(&part, &rest);
  same = same && has_same_sums(&part, &whole);
  esp_exact_clear(&part);
  esp_exact_clear(&rest);
  esp_exact_clear(&whole);
  ASSERT_ALL(same);
}

/* What a caller does with one micro-batch of one sample a rank. */
static esp_status add_and_reduce(float a, float b) {
  esp_exact sums;
  esp_exact_init(&sums, 1, 1, NULL, NULL);
  esp_status status = esp_agree(&test_comm, esp_exact_add_local(&sums, 1, &a, 1, &b, 1));
  if (status == ESP_OK) status = esp_exact_reduce(&test_comm, &sums);
  esp_exact_clear(&sums);
  return status;
}

static void add_of_nan_on_one_rank_is_numeric_on_all(void **state) {
  (void)state;
  const bool bad = test_comm.rank == test_comm.size - 1;
  const esp_status status = add_and_reduce(bad ? NAN : 1, 1);
  ASSERT_ALL(status == ESP_NUMERIC);
  ASSERT_ALL(strstr(esp_failure_text(), "nan in row unit 0, sample 0") != NULL);
}

static void add_beyond_the_head_room_on_one_rank_is_numeric_on_all(void **state) {
  (void)state;
  const bool bad = test_comm.rank == test_comm.size - 1;
  ASSERT_ALL(add_and_reduce(bad ? 0x1p20F : 1, 0x1p18F) == ESP_NUMERIC);
}

static void reduce_beyond_the_head_room_is_numeric_on_all(void **state) {
  (void)state;
  const esp_status status = add_and_reduce(0x1p18F, 0x1p17F); // 2^61 a rank, 2^62 is too much
  ASSERT_ALL(status == (test_comm.size > 1 ? ESP_NUMERIC : ESP_OK));
  ASSERT_ALL(test_comm.size == 1 || strstr(esp_failure_text(), "pilot") != NULL);
}

ESP_TEST_MAIN(cmocka_unit_test(reduce_gives_the_bits_of_one_rank),
              cmocka_unit_test(reduce_takes_fewer_batches_than_ranks),
              cmocka_unit_test(reduce_gives_every_rank_both_halves_of_a_gram_matrix),
              cmocka_unit_test(merge_of_two_parts_is_the_sum_of_all),
              cmocka_unit_test(add_of_nan_on_one_rank_is_numeric_on_all),
              cmocka_unit_test(add_beyond_the_head_room_on_one_rank_is_numeric_on_all),
              cmocka_unit_test(reduce_beyond_the_head_room_is_numeric_on_all))
