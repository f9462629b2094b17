#include "espalier/collect/collect.h"

#include "claim.h"
#include "espalier/io/tensors.h"
#include "mpi.h"
#include "small.h"

#include <string.h>
#include <unistd.h>

enum { SAMPLES = 150, WIDTH = 4, UNITS = 6, MICRO_BATCH = 70, WORDS = 2 };
static const int64_t sizes[] = {WIDTH, UNITS, 3};

static char path[160];

/* A model of its own file, data and their statistics at path. */
typedef struct bench {
  esp_model *model;
  esp_dataset *data;
  esp_stats *stats;
} bench;

static void write_stats(const bench *self, bool covariance) {
  const esp_shard_options shard_options = {.micro_batch = MICRO_BATCH, .seed = 3};
  const esp_collect_options options = {.bins = 4, .pilot = 70, .covariance = covariance};
  esp_shard shard;
  esp_shard_init(&shard, &test_comm, self->data, &shard_options);
  json_t *meta = small_meta_new(&test_comm, self->model, self->data, MICRO_BATCH);
  ESP_ASSERT(esp_collect(&test_comm, self->model, &shard, &options, meta, path) == ESP_OK);
  esp_shard_clear(&shard);
}

static bench open_bench(bool covariance) {
  snprintf(path, sizeof path, "%s", test_path("model.h5"));
  bench self = {.model = small_model_open(&test_comm, sizes, 3, path),
                .data = small_dataset_new(SAMPLES, WIDTH, 5)};
  snprintf(path, sizeof path, "%s", test_path("stats.h5"));
  write_stats(&self, covariance);
  ESP_ASSERT(esp_stats_open(&test_comm, path, &self.stats) == ESP_OK);
  return self;
}

static void close_bench(bench *self) {
  esp_stats_close(&self->stats);
  esp_dataset_close(&self->data);
  esp_model_free(&self->model);
}

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static void stats_open_gives_layout_and_meta(void **state) {
  (void)state;
  bench self = open_bench(true);
  const esp_stats *stats = self.stats;
  ASSERT_ALL(stats->bins == 4 && stats->n_batches == 3 && stats->words == WORDS);
  ASSERT_ALL(stats->rows == SAMPLES && stats->valid[1] == 70 && stats->valid[2] == 10);
  ASSERT_ALL(json_integer_value(json_object_get(stats->meta, "micro_batch")) == MICRO_BATCH);
  ASSERT_ALL(stats->first == esp_block_begin(3, test_comm.size, test_comm.rank));
  close_bench(&self);
}

static void stats_count_valid_tells_each_word_s_samples(void **state) {
  (void)state;
  static const uint8_t all[] = {64, 6, 64, 6, 10, 0};
  bench self = open_bench(true);
  uint8_t *valid = esp_stats_count_valid_local(self.stats);
  const size_t bytes = (size_t)(self.stats->count * WORDS);
  ASSERT_ALL(memcmp(valid, all + self.stats->first * WORDS, bytes) == 0);
  esp_free(&valid);
  close_bench(&self);
}

static void stats_load_site_gives_every_rank_its_planes_and_the_whole_covariance(void **state) {
  (void)state;
  bench self = open_bench(true);
  esp_site_stats site;
  const unsigned what = ESP_LOAD_PLANES | ESP_LOAD_COVARIANCE;
  ASSERT_ALL(esp_stats_load_site(self.stats, "hidden.0", UNITS, what, &site) == ESP_OK);
  ASSERT_ALL(site.planes.units == UNITS && site.planes.n_words == self.stats->count * WORDS);
  bool same = true;
  for (int64_t i = 0; i < UNITS; i++)
    same = same && site.covariance[i * UNITS + i] == (float)site.variance[i] && site.norm[i] > 0;
  ASSERT_ALL(same);
  esp_site_stats_clear(&site);
  close_bench(&self);
}

static void stats_load_site_loads_what_is_asked(void **state) {
  (void)state;
  bench self = open_bench(true);
  esp_site_stats site;
  ASSERT_ALL(esp_stats_load_site(self.stats, "hidden.0", UNITS, 0, &site) == ESP_OK);
  ASSERT_ALL(!site.covariance && !site.planes.words && site.norm[0] > 0);
  esp_site_stats_clear(&site);
  close_bench(&self);
}

static void stats_load_matrix_gives_it_to_its_owner(void **state) {
  (void)state;
  bench self = open_bench(true);
  const int owner = test_comm.size - 1;
  float matrix[UNITS * UNITS];
  esp_site_stats site;
  ASSERT_ALL(esp_stats_load_site(self.stats, "hidden.0", UNITS, ESP_LOAD_COVARIANCE, &site) ==
             ESP_OK);
  float *mine = test_comm.rank == owner ? matrix : NULL;
  ASSERT_ALL(esp_stats_load_matrix(self.stats, "hidden.0", ESP_STATS_COVARIANCE, UNITS, owner,
                                   mine) == ESP_OK);
  ASSERT_ALL(!mine || memcmp(matrix, site.covariance, sizeof matrix) == 0);
  esp_site_stats_clear(&site);
  close_bench(&self);
}

static void stats_load_matrix_that_was_not_collected_is_format(void **state) {
  (void)state;
  bench self = open_bench(false);
  float matrix[UNITS * UNITS];
  const esp_status status =
      esp_stats_load_matrix(self.stats, "hidden.0", ESP_STATS_FISHER, UNITS, -1, matrix);
  ASSERT_ALL(failed(status, ESP_FORMAT, "/hidden.0/fisher"));
  close_bench(&self);
}

static bool load_fails(bench *self, const char *name, int64_t features, const char *part) {
  esp_site_stats site;
  const esp_status status =
      esp_stats_load_site(self->stats, name, features, ESP_LOAD_COVARIANCE, &site);
  return failed(status, ESP_FORMAT, part) && !site.mean;
}

static void stats_load_site_of_a_missing_site_is_format(void **state) {
  (void)state;
  bench self = open_bench(true);
  ASSERT_ALL(load_fails(&self, "hidden.9", UNITS, "/hidden.9/edges"));
  close_bench(&self);
}

static void stats_load_site_of_another_size_is_format(void **state) {
  (void)state;
  bench self = open_bench(true);
  ASSERT_ALL(load_fails(&self, "hidden.0", UNITS + 1, "/hidden.0/edges"));
  close_bench(&self);
}

static void stats_load_site_without_covariance_is_format(void **state) {
  (void)state;
  bench self = open_bench(false);
  ASSERT_ALL(load_fails(&self, "hidden.0", UNITS, "/hidden.0/covariance"));
  close_bench(&self);
}

static void stats_check_takes_the_model_and_data_of_the_collection(void **state) {
  (void)state;
  bench self = open_bench(true);
  ASSERT_ALL(esp_stats_check(self.stats, self.model, NULL) == ESP_OK);
  ASSERT_ALL(esp_stats_check(self.stats, self.model, self.data) == ESP_OK);
  close_bench(&self);
}

/* The same shape, but one weight differs. */
static esp_model *open_other_model(void) {
  esp_model *made = small_model_new("relu", sizes, 3, 1), *other = NULL;
  made->weights[3].value[0] += 1;
  ESP_ASSERT(small_model_save(&test_comm, made, test_path("other.h5")) == ESP_OK);
  ESP_ASSERT(esp_model_open(&test_comm, test_path("other.h5"), &other) == ESP_OK);
  esp_model_free(&made);
  return other;
}

static void stats_check_of_another_model_is_mismatch(void **state) {
  (void)state;
  bench self = open_bench(true);
  esp_model *other = open_other_model();
  ASSERT_ALL(failed(esp_stats_check(self.stats, other, NULL), ESP_MISMATCH, "model_fingerprint"));
  esp_model_free(&other);
  close_bench(&self);
}

static void stats_check_of_other_data_is_mismatch(void **state) {
  (void)state;
  bench self = open_bench(true);
  self.data->fingerprint++;
  const esp_status status = esp_stats_check(self.stats, self.model, self.data);
  ASSERT_ALL(failed(status, ESP_MISMATCH, "data_fingerprint"));
  close_bench(&self);
}

static bool open_fails(esp_status code, const char *part) {
  esp_stats *stats;
  esp_barrier(&test_comm);
  return failed(esp_stats_open(&test_comm, path, &stats), code, part) && !stats;
}

static void stats_open_of_a_missing_file_is_io(void **state) {
  (void)state;
  snprintf(path, sizeof path, "%s", test_path("missing.h5"));
  ASSERT_ALL(open_fails(ESP_IO, "missing.h5"));
}

static void stats_open_of_a_model_is_format(void **state) {
  (void)state;
  bench self = open_bench(true);
  snprintf(path, sizeof path, "%s", test_path("model.h5"));
  ASSERT_ALL(open_fails(ESP_FORMAT, "'espalier-statistics' is expected"));
  close_bench(&self);
}

static void stats_open_of_a_text_is_format(void **state) {
  (void)state;
  snprintf(path, sizeof path, "%s", test_path("text.h5"));
  test_write_file(path, "not statistics\n", 15);
  ASSERT_ALL(open_fails(ESP_FORMAT, "text.h5"));
}

static void stats_open_of_a_truncated_file_is_format(void **state) {
  (void)state;
  bench self = open_bench(true);
  esp_stats_close(&self.stats);
  esp_barrier(&test_comm);
  const int cut = test_comm.rank == 0 ? truncate(path, 3000) : 0;
  ASSERT_ALL(cut == 0 && open_fails(ESP_FORMAT, "stats.h5"));
  close_bench(&self);
}

/* A file with this meta and these rows of micro-batches, nothing else. */
static void write_head(const char *meta, const char *name, int64_t valid) {
  const esp_h5_shape shape = {ESP_I64, 1, {2}};
  const int64_t rows[] = {3, valid};
  esp_h5 *file;
  snprintf(path, sizeof path, "%s", test_path("head.h5"));
  ESP_ASSERT(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ESP_ASSERT(esp_meta_write(file, "espalier-statistics", meta) == ESP_OK);
  ESP_ASSERT(esp_h5_write_root(file, name, &shape, rows) == ESP_OK);
  ESP_ASSERT(esp_h5_commit(&file) == ESP_OK);
}

static void stats_open_of_a_sound_head_is_ok(void **state) {
  (void)state;
  esp_stats *stats;
  write_head("{\"bins\": 4, \"batch_rows\": 65}", "/valid", 65);
  ASSERT_ALL(esp_stats_open(&test_comm, path, &stats) == ESP_OK);
  ASSERT_ALL(stats->rows == 68 && stats->words == 2);
  esp_stats_close(&stats);
}

static void stats_open_of_a_damaged_head_is_format(void **state) {
  (void)state;
  static const struct {
    const char *meta, *name;
    int64_t valid;
    const char *part;
  } cases[] = {{"{\"batch_rows\": 4}", "/valid", 4, "'bins'"},
               {"{\"bins\": 1, \"batch_rows\": 4}", "/valid", 4, "'bins'"},
               {"{\"bins\": 17, \"batch_rows\": 4}", "/valid", 4, "at most 16 bins"},
               {"{\"bins\": 4294967298, \"batch_rows\": 4}", "/valid", 4, "at most 16 bins"},
               {"{\"bins\": 4, \"batch_rows\": \"4\"}", "/valid", 4, "'batch_rows'"},
               {"{\"bins\": 4, \"batch_rows\": 9223372036854775807}", "/valid", 4, "batch_rows"},
               {"{\"bins\": 4, \"batch_rows\": 4}", "/other", 4, "/valid"},
               {"{\"bins\": 4, \"batch_rows\": 4}", "/valid", -1, "micro-batch 1, found -1"},
               {"{\"bins\": 4, \"batch_rows\": 4}", "/valid", 5, "micro-batch 1, found 5"}};
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    write_head(cases[i].meta, cases[i].name, cases[i].valid);
    ASSERT_ALL(open_fails(ESP_FORMAT, cases[i].part));
  }
}

/* Sizes are not multiplied, and nothing is allocated, before they are seen to fit the file. */
static void stats_open_of_more_micro_batches_than_a_file_can_hold_is_format(void **state) {
  (void)state;
  write_head("{\"bins\": 4, \"batch_rows\": 65}", "/other", 65);
  test_claim(path, "/valid", H5T_STD_I64LE, (const hsize_t[]){(hsize_t)1 << 60}, 1);
  ASSERT_ALL(open_fails(ESP_FORMAT, "/valid claims to be I64 (1152921504606846976)"));
}

static void stats_load_site_of_more_features_than_any_file_has_is_format(void **state) {
  (void)state;
  bench self = open_bench(false);
  ASSERT_ALL(load_fails(&self, "hidden.0", INT64_MAX / 2, "/hidden.0/edges"));
  ASSERT_ALL(load_fails(&self, "hidden.0", -1, "/hidden.0/edges"));
  close_bench(&self);
}

ESP_TEST_MAIN(
    cmocka_unit_test(stats_open_of_more_micro_batches_than_a_file_can_hold_is_format),
    cmocka_unit_test(stats_load_site_of_more_features_than_any_file_has_is_format),
    cmocka_unit_test(stats_open_gives_layout_and_meta),
    cmocka_unit_test(stats_count_valid_tells_each_word_s_samples),
    cmocka_unit_test(stats_load_site_gives_every_rank_its_planes_and_the_whole_covariance),
    cmocka_unit_test(stats_load_site_loads_what_is_asked),
    cmocka_unit_test(stats_load_matrix_gives_it_to_its_owner),
    cmocka_unit_test(stats_load_matrix_that_was_not_collected_is_format),
    cmocka_unit_test(stats_load_site_of_a_missing_site_is_format),
    cmocka_unit_test(stats_load_site_of_another_size_is_format),
    cmocka_unit_test(stats_load_site_without_covariance_is_format),
    cmocka_unit_test(stats_check_takes_the_model_and_data_of_the_collection),
    cmocka_unit_test(stats_check_of_another_model_is_mismatch),
    cmocka_unit_test(stats_check_of_other_data_is_mismatch),
    cmocka_unit_test(stats_open_of_a_missing_file_is_io),
    cmocka_unit_test(stats_open_of_a_model_is_format),
    cmocka_unit_test(stats_open_of_a_text_is_format),
    cmocka_unit_test(stats_open_of_a_truncated_file_is_format),
    cmocka_unit_test(stats_open_of_a_sound_head_is_ok),
    cmocka_unit_test(stats_open_of_a_damaged_head_is_format))
