#include "espalier/flow/shard.h"

#include "mpi.h"
#include "small.h"

#include <string.h>

enum { WIDTH = 3 };

static esp_shard new_shard(const esp_comm *comm, const esp_dataset *data, int64_t samples,
                           int64_t micro_batch) {
  const esp_shard_options options = {samples, micro_batch, 7};
  esp_shard shard;
  esp_shard_init(&shard, comm, data, &options);
  return shard;
}

static void close_shard(esp_shard *shard, esp_dataset *data) {
  esp_shard_clear(shard);
  esp_dataset_close(&data);
}

/* How many ranks have each of the n micro-batches; true iff one each. */
static bool covers_once(const esp_shard *shard, int64_t n) {
  int64_t *owners = ESP_NEW(int64_t, n);
  for (int64_t i = shard->first; i < shard->first + shard->count; i++) owners[i]++;
  esp_allreduce_sum_i64(&test_comm, owners, n);
  bool once = shard->n_batches == n;
  for (int64_t i = 0; i < n; i++) once = once && owners[i] == 1;
  esp_free(&owners);
  return once;
}

static void shard_init_deals_every_micro_batch_to_one_rank(void **state) {
  (void)state;
  esp_dataset *data = small_dataset_new(41, WIDTH, 1);
  esp_shard shard = new_shard(&test_comm, data, 0, 4);
  ASSERT_ALL(covers_once(&shard, 11));
  ASSERT_ALL(shard.count >= 11 / test_comm.size && shard.count <= 11 / test_comm.size + 1);
  close_shard(&shard, data);
}

static void shard_init_takes_fewer_micro_batches_than_ranks(void **state) {
  (void)state;
  esp_dataset *data = small_dataset_new(5, WIDTH, 1);
  esp_shard shard = new_shard(&test_comm, data, 0, 4);
  ASSERT_ALL(covers_once(&shard, 2));
  ASSERT_ALL(test_comm.rank < 2 || shard.count == 0);
  close_shard(&shard, data);
}

static void shard_init_with_too_many_or_no_samples_takes_all(void **state) {
  (void)state;
  const int64_t asked[] = {0, 42, 41};
  for (unsigned i = 0; i < ESP_COUNT(asked); i++) {
    esp_dataset *data = small_dataset_new(41, WIDTH, 1);
    esp_shard shard = new_shard(&test_comm, data, asked[i], 8);
    ASSERT_ALL(shard.samples == 41 && shard.n_batches == 6);
    close_shard(&shard, data);
  }
}

static void shard_count_samples_shortens_the_last_micro_batch(void **state) {
  (void)state;
  esp_dataset *data = small_dataset_new(41, WIDTH, 1);
  esp_shard shard = new_shard(&test_comm, data, 19, 8);
  ASSERT_ALL(shard.n_batches == 3);
  ASSERT_ALL(esp_shard_count_samples(&shard, 0) == 8 && esp_shard_count_samples(&shard, 1) == 8);
  ASSERT_ALL(esp_shard_count_samples(&shard, 2) == 3);
  close_shard(&shard, data);
}

static void shard_init_chooses_the_same_at_any_rank_count(void **state) {
  (void)state;
  esp_comm alone;
  esp_comm_init_local(&alone);
  esp_dataset *data = small_dataset_new(300, WIDTH, 1);
  esp_shard dealt = new_shard(&test_comm, data, 100, 8), whole = new_shard(&alone, data, 100, 8);
  ASSERT_ALL(whole.first == 0 && whole.count == 13 && dealt.n_batches == 13);
  ASSERT_ALL(memcmp(dealt.order, whole.order, 300 * sizeof *whole.order) == 0);
  esp_shard_clear(&whole);
  esp_comm_clear(&alone);
  close_shard(&dealt, data);
}

static void shard_init_takes_no_sample_twice(void **state) {
  (void)state;
  esp_dataset *data = small_dataset_new(300, WIDTH, 1);
  esp_shard shard = new_shard(&test_comm, data, 0, 8);
  int times[300] = {0};
  for (int64_t i = 0; i < 300; i++) times[shard.order[i]]++;
  bool once = true;
  for (int i = 0; i < 300; i++) once = once && times[i] == 1;
  ASSERT_ALL(once);
  close_shard(&shard, data);
}

static void shard_init_shuffles_by_the_seed(void **state) {
  (void)state;
  esp_dataset *data = small_dataset_new(300, WIDTH, 1);
  const esp_shard_options options = {0, 8, 8};
  esp_shard shard = new_shard(&test_comm, data, 0, 8), other;
  esp_shard_init(&other, &test_comm, data, &options);
  int64_t differ = 0, in_place = 0;
  for (int64_t i = 0; i < 300; i++) {
    differ += shard.order[i] != other.order[i];
    in_place += shard.order[i] == i;
  }
  ASSERT_ALL(differ > 250 && in_place < 50);
  esp_shard_clear(&other);
  close_shard(&shard, data);
}

static bool is_sample(const esp_batch *batch, int64_t row, const esp_dataset *data, int64_t s) {
  bool same = batch->labels[row] == data->labels[s];
  for (int64_t i = 0; i < WIDTH; i++)
    same = same && batch->pixels[row * WIDTH + i] == (float)data->pixels[s * WIDTH + i] / 255.0f;
  return same;
}

static void shard_read_gives_the_chosen_samples_of_any_micro_batch(void **state) {
  (void)state;
  esp_dataset *data = small_dataset_new(41, WIDTH, 1);
  esp_shard shard = new_shard(&test_comm, data, 19, 8);
  bool same = true;
  for (int64_t i = 2; i >= 0; i--) {
    esp_batch batch;
    esp_shard_read(&shard, i, &batch);
    same = same && batch.count == (i < 2 ? 8 : 3) && batch.kind == ESP_DATA_IMAGES;
    for (int64_t r = 0; r < batch.count; r++)
      same = same && is_sample(&batch, r, data, shard.order[8 * i + r]);
  }
  ASSERT_ALL(same);
  close_shard(&shard, data);
}

ESP_TEST_MAIN(cmocka_unit_test(shard_init_deals_every_micro_batch_to_one_rank),
              cmocka_unit_test(shard_init_takes_fewer_micro_batches_than_ranks),
              cmocka_unit_test(shard_init_with_too_many_or_no_samples_takes_all),
              cmocka_unit_test(shard_count_samples_shortens_the_last_micro_batch),
              cmocka_unit_test(shard_init_chooses_the_same_at_any_rank_count),
              cmocka_unit_test(shard_init_takes_no_sample_twice),
              cmocka_unit_test(shard_init_shuffles_by_the_seed),
              cmocka_unit_test(shard_read_gives_the_chosen_samples_of_any_micro_batch))
