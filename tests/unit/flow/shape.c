#include "unit.h"

#include "espalier/flow/shape.h"

/* Five sequences of four tokens, padded, two a micro-batch. */
static int32_t tokens[5 * 4], lengths[5] = {4, 3, 2, 1, 4};
static const esp_dataset data = {
    .kind = ESP_DATA_TOKENS, .count = 5, .width = 4, .tokens = tokens, .lengths = lengths};

static void init_shard(esp_shard *shard, int rank, int ranks) {
  const esp_comm comm = {.rank = rank, .size = ranks};
  esp_shard_init(shard, &comm, &data, &(esp_shard_options){.micro_batch = 2, .seed = 3});
}

static esp_shard_shape make_shape(int ranks) {
  esp_shard shard;
  esp_shard_shape shape;
  init_shard(&shard, 0, 1);
  esp_shard_shape_init(&shape, &shard, ranks);
  esp_shard_clear(&shard);
  return shape;
}

static void esp_shard_shape_measures_a_shard(void **state) {
  (void)state;
  esp_shard_shape shape = make_shape(2);
  assert_true(shape.ranks == 2 && shape.samples == 5 && shape.n_batches == 3);
  assert_true(shape.batch_rows == 8 && shape.tokens == 4 && shape.rows == 14 && shape.share == 2);
  assert_true(shape.read_bytes == 4.0 * 20.0 + 4.0 * 5.0);
  assert_true(shape.held_bytes == shape.read_bytes + 8.0 * 5.0 + 4.0 * 8.0);
  esp_shard_shape_clear(&shape);
}

static void esp_shard_shape_deals_as_shards_do(void **state) {
  (void)state;
  for (int ranks = 1; ranks <= 5; ranks++) {
    esp_shard_shape shape = make_shape(ranks);
    for (int rank = 0; rank < ranks; rank++) {
      esp_shard shard;
      init_shard(&shard, rank, ranks);
      assert_int_equal(esp_shard_shape_count(&shape, rank), shard.count);
      esp_shard_clear(&shard);
    }
    esp_shard_shape_clear(&shape);
  }
}

static void esp_shard_shape_counts_rows_that_are_no_padding(void **state) {
  (void)state;
  esp_shard_shape shape = make_shape(1);
  assert_int_equal(esp_shard_shape_count_spread(&shape, 3), 14);
  assert_int_equal(esp_shard_shape_count_spread(&shape, 1), shape.valid[0]);
  assert_int_equal(esp_shard_shape_count_spread(&shape, 2), shape.valid[0] + shape.valid[1]);
  assert_int_equal(esp_shard_shape_count_spread(&shape, 0), 0);
  esp_shard_shape_clear(&shape);
}

static void esp_shard_shape_counts_whole_batches(void **state) {
  (void)state;
  esp_shard_shape shape = make_shape(1);
  const int64_t rows[] = {0, 8, 9, 1000}, batches[] = {1, 1, 2, 3};
  for (size_t i = 0; i < ESP_COUNT(rows); i++)
    assert_int_equal(esp_shard_shape_count_batches(&shape, rows[i]), batches[i]);
  esp_shard_shape_clear(&shape);
}

static void esp_shard_shape_state_bytes_are_rank_0s(void **state) {
  (void)state;
  esp_shard_shape shape = make_shape(2);
  assert_true(esp_shard_shape_state_bytes(&shape, 3.0) == 4.0 * 2.0 * 8.0 * 3.0);
  esp_shard_shape_clear(&shape);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_shard_shape_measures_a_shard),
              cmocka_unit_test(esp_shard_shape_deals_as_shards_do),
              cmocka_unit_test(esp_shard_shape_counts_rows_that_are_no_padding),
              cmocka_unit_test(esp_shard_shape_counts_whole_batches),
              cmocka_unit_test(esp_shard_shape_state_bytes_are_rank_0s))
