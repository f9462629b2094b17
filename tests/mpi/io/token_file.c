#include "claim.h"
#include "mpi.h"

#include "espalier/io/dataset.h"
#include "espalier/io/h5.h"

#include <hdf5.h>
#include <string.h>
#include <unistd.h>

enum { N = 3, T = 4 };

/* A token file in the making; NULL: the array is left out. */
typedef struct content {
  esp_dtype type;
  int64_t n, t;
  const int64_t *tokens, *types, *lengths, *labels;
} content;

static const int64_t tokens[N * T] = {5, 6, 7, 8, 1, 2, 0, 0, 60, 3, 3, 3};
static const int64_t types[N * T] = {0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0};
static const int64_t lengths[N] = {4, 2, 1}, labels[N] = {2, 0, 2};

static content good(void) {
  return (content){ESP_I32, N, T, tokens, types, lengths, labels};
}

static char path[160];

static void set_path(const char *name) {
  snprintf(path, sizeof path, "%s", test_path(name));
}

static void put_array(esp_h5 *file, const content *what, const char *name, int rank,
                      const int64_t *values) {
  if (!values) return;
  const esp_h5_shape shape = {what->type, rank, {what->n, rank == 2 ? what->t : 0}};
  const int64_t count = what->n * (rank == 2 ? what->t : 1);
  int32_t words[64];
  for (int64_t i = 0; i < count; i++) words[i] = (int32_t)values[i];
  const bool is_wide = what->type == ESP_I64;
  if (esp_h5_write_root(file, name, &shape, is_wide ? (const void *)values : words) != ESP_OK)
    MPI_Abort(MPI_COMM_WORLD, 3);
}

static void put(const content *what) {
  esp_h5 *file;
  if (esp_h5_create(&test_comm, path, &file) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
  put_array(file, what, "/tokens", 2, what->tokens);
  put_array(file, what, "/token_types", 2, what->types);
  put_array(file, what, "/lengths", 1, what->lengths);
  put_array(file, what, "/labels", 1, what->labels);
  if (esp_h5_commit(&file) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
}

static bool same(const int32_t *found, const int64_t *expected, int count) {
  bool equal = found != NULL;
  for (int i = 0; i < count && equal; i++) equal = found[i] == expected[i];
  return equal;
}

static void check_good(const char *name, esp_dtype type) {
  esp_dataset *data;
  content what = good();
  what.type = type;
  set_path(name);
  put(&what);
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "test", &data) == ESP_OK);
  ASSERT_ALL(strcmp(data->format, "tokens") == 0 && data->kind == ESP_DATA_TOKENS);
  ASSERT_ALL(data->count == N && data->width == T && data->classes == 3);
  ASSERT_ALL(data->max_token == 60 && data->max_type == 1 && !data->pixels);
  ASSERT_ALL(same(data->tokens, tokens, N * T) && same(data->types, types, N * T));
  ASSERT_ALL(same(data->lengths, lengths, N) && same(data->labels, labels, N));
  esp_dataset_close(&data);
}

static void esp_dataset_open_reads_tokens_of_either_width(void **state) {
  (void)state;
  check_good("i32.h5", ESP_I32);
  check_good("i64.h5", ESP_I64);
}

static void esp_dataset_open_reads_tokens_alone(void **state) {
  (void)state;
  esp_dataset *data;
  const content what = {ESP_I32, N, T, tokens, NULL, NULL, NULL};
  set_path("alone.h5");
  put(&what);
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "train", &data) == ESP_OK);
  ASSERT_ALL(!data->types && !data->lengths && !data->labels);
  ASSERT_ALL(data->classes == 0 && data->max_type == 0);
  esp_dataset_close(&data);
}

static uint64_t fingerprint_of(const content *what) {
  esp_dataset *data;
  set_path("fingerprint.h5");
  put(what);
  if (esp_dataset_open(&test_comm, path, "train", &data) != ESP_OK) return 0;
  const uint64_t fingerprint = data->fingerprint;
  esp_dataset_close(&data);
  return fingerprint;
}

static void esp_dataset_open_fingerprints_all_arrays(void **state) {
  (void)state;
  enum { VARIANTS = 7 };
  static const int64_t others[N * T] = {1, 0, 1};
  uint64_t found[VARIANTS];
  content what[VARIANTS];
  for (int i = 0; i < VARIANTS; i++) what[i] = good();
  what[1].tokens = types;
  what[2].types = NULL;
  what[3].types = others;
  what[4].lengths = NULL;
  what[5].labels = others;
  what[6].n = T, what[6].t = N, what[6].lengths = what[6].labels = NULL;
  for (int i = 0; i < VARIANTS; i++) found[i] = fingerprint_of(&what[i]);
  for (int i = 0; i < VARIANTS; i++)
    for (int j = 0; j < i; j++) ASSERT_ALL(found[i] != found[j] && found[i] != 0);
  what[0].type = ESP_I64;
  ASSERT_ALL(fingerprint_of(&what[0]) == found[0]);
}

static void check_refused(const content *what, const char *part) {
  esp_dataset *data;
  put(what);
  const esp_status status = esp_dataset_open(&test_comm, path, "test", &data);
  const bool right = status == ESP_FORMAT && strstr(esp_failure_text(), part) && !data;
  if (!right) print_error("%d '%s' lacks '%s'\n", (int)status, esp_failure_text(), part);
  ASSERT_ALL(right);
}

static void esp_dataset_open_refuses_values_out_of_range(void **state) {
  (void)state;
  static const int64_t negative[N * T] = {0, 0, 0, 0, 0, 0, -1}, zero[N] = {1, 0, 1},
                                    longer[N] = {1, 2, T + 1}, wide[N * T] = {1LL << 31};
  set_path("range.h5");
  content what = good();
  what.tokens = negative;
  check_refused(&what, "/tokens: values from 0 to 2147483646 are expected, found -1 in row 1");
  what = good();
  what.types = negative;
  check_refused(&what, "/token_types");
  what = good();
  what.lengths = zero;
  check_refused(&what, "/lengths: values from 1 to 4 are expected, found 0 in row 1");
  what.lengths = longer;
  check_refused(&what, "found 5 in row 2");
  what = good();
  what.type = ESP_I64;
  what.tokens = wide;
  check_refused(&what, "found 2147483648");
}

static void put_words(const char *name, int rank, int64_t n, int64_t t, esp_dtype type) {
  static const int64_t zeros[64];
  const esp_h5_shape shape = {type, rank, {n, t}};
  const content what = {ESP_I32, N, T, strcmp(name, "/tokens") ? tokens : NULL, NULL, NULL, NULL};
  esp_h5 *file;
  if (esp_h5_create(&test_comm, path, &file) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
  put_array(file, &what, "/tokens", 2, what.tokens);
  if (esp_h5_write_root(file, name, &shape, zeros) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
  if (esp_h5_commit(&file) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
}

static void check_shape_refused(const char *part) {
  esp_dataset *data;
  const esp_status status = esp_dataset_open(&test_comm, path, "test", &data);
  ASSERT_ALL(status == ESP_FORMAT && strstr(esp_failure_text(), part) && !data);
}

static void esp_dataset_open_refuses_other_shapes_and_types(void **state) {
  (void)state;
  set_path("shape.h5");
  put_words("/tokens", 1, 5, 0, ESP_I32);
  check_shape_refused("(sequences, tokens) is expected, found (5)");
  put_words("/tokens", 2, 0, 5, ESP_I32);
  check_shape_refused("found (0, 5)");
  put_words("/tokens", 2, 2, 2, ESP_F32);
  check_shape_refused("/tokens: integers are expected, found float32; write them as int32");
  put_words("/lengths", 1, N + 1, 0, ESP_I32);
  check_shape_refused("/lengths: shape (3) is expected beside these /tokens, found (4)");
  put_words("/token_types", 2, N, T - 1, ESP_I32);
  check_shape_refused("shape (3, 4) is expected");
  put_words("/labels", 2, N + 1, T, ESP_I32);
  check_shape_refused(
      "/labels: shape (3), or (3, labels), is expected beside these /tokens, found (4, 4)");
}

static void esp_dataset_open_refuses_a_file_without_tokens(void **state) {
  (void)state;
  set_path("without.h5");
  const content what = {ESP_I32, N, T, NULL, NULL, lengths, NULL};
  check_refused(&what, "has no /tokens");
}

/* The good file under Hugging Face's names, with this mask. */
static void put_foreign(const char *name, const int64_t *mask, bool has_both) {
  const content what = good();
  esp_h5 *file;
  set_path(name);
  if (esp_h5_create(&test_comm, path, &file) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
  put_array(file, &what, "/input_ids", 2, tokens);
  put_array(file, &what, "/token_type_ids", 2, types);
  put_array(file, &what, "/attention_mask", 2, mask);
  put_array(file, &what, "/labels", 1, labels);
  put_array(file, &what, "/special_tokens_mask", 2, types);
  if (has_both) put_array(file, &what, "/lengths", 1, lengths);
  if (esp_h5_commit(&file) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
}

static const int64_t mask[N * T] = {1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0};

static void esp_dataset_open_reads_the_names_of_hugging_face(void **state) {
  (void)state;
  esp_dataset *data;
  put_foreign("foreign.h5", mask, false);
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "test", &data) == ESP_OK);
  ASSERT_ALL(same(data->tokens, tokens, N * T) && same(data->types, types, N * T));
  ASSERT_ALL(same(data->lengths, lengths, N) && same(data->labels, labels, N));
  const content ours = good();
  const uint64_t fingerprint = data->fingerprint;
  ASSERT_ALL(fingerprint == fingerprint_of(&ours));
  esp_dataset_close(&data);
}

static void esp_dataset_open_refuses_masks_that_lengths_can_not_say(void **state) {
  (void)state;
  static const int64_t left[N * T] = {1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0},
                                hole[N * T] = {1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0},
                                none[N * T] = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
  put_foreign("left.h5", left, false);
  check_shape_refused("found a zero first in row 1; write the tokens with padding on the right");
  put_foreign("hole.h5", hole, false);
  check_shape_refused("found ones behind zeros in row 0");
  put_foreign("none.h5", none, false);
  check_shape_refused("found a zero first in row 2");
  put_foreign("two.h5", tokens, false);
  check_shape_refused("/attention_mask: values from 0 to 1 are expected, found 5");
}

static void esp_dataset_open_refuses_one_thing_under_two_names(void **state) {
  (void)state;
  put_foreign("twice.h5", mask, true);
  check_shape_refused("one of /lengths and /attention_mask is expected, found both");
}

static void esp_dataset_open_refuses_more_tokens_than_a_file_can_hold(void **state) {
  (void)state;
  set_path("huge.h5");
  if (test_comm.rank == 0) unlink(path);
  test_claim(path, "/tokens", H5T_STD_I32LE, (const hsize_t[]){1 << 30, 1 << 20}, 2);
  check_shape_refused("/tokens claims to be int32 (1073741824, 1048576)");
}

static void esp_dataset_open_reads_compressed_tokens(void **state) {
  (void)state;
  esp_dataset *data;
  set_path("packed.h5");
  if (test_comm.rank == 0) {
    const hsize_t dims[2] = {N, T};
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(2, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 2, dims);
    H5Pset_deflate(how, 9);
    const hid_t set =
        H5Dcreate2(file, "/tokens", H5T_STD_I64LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens);
    H5Dclose(set);
    H5Pclose(how);
    H5Sclose(space);
    H5Fclose(file);
  }
  esp_barrier(&test_comm);
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "test", &data) == ESP_OK);
  ASSERT_ALL(same(data->tokens, tokens, N * T));
  esp_dataset_close(&data);
}

static void check_split(const char *folder, const char *split, int64_t rows) {
  esp_dataset *data;
  ASSERT_ALL(esp_dataset_open(&test_comm, folder, split, &data) == ESP_OK && data->count == rows);
  ASSERT_ALL(strcmp(data->split, split) == 0 && strcmp(data->path, folder) == 0);
  esp_dataset_close(&data);
}

static void esp_dataset_open_finds_the_file_of_a_split(void **state) {
  (void)state;
  esp_dataset *data;
  char folder[128];
  snprintf(folder, sizeof folder, "%s", test_path("splits"));
  test_make_folder(folder);
  content what = good();
  set_path("splits/calibration.h5");
  put(&what);
  ASSERT_ALL(esp_dataset_open(&test_comm, folder, "test", &data) == ESP_IO && !data);
  ASSERT_ALL(strstr(esp_failure_text(), "heldout.h5") != NULL);
  what.n = 2;
  set_path("splits/heldout.h5");
  put(&what);
  check_split(folder, "train", N);
  check_split(folder, "test", 2);
  ASSERT_ALL(esp_dataset_open(&test_comm, folder, "dev", &data) == ESP_USAGE && !data);
}

static void esp_dataset_open_fails_everywhere_when_rank_0_cannot_read(void **state) {
  (void)state;
  esp_dataset *data;
  const content what = good();
  set_path("root.h5");
  put(&what);
  const char *mine = test_comm.rank == 0 ? "/no/such.h5" : path;
  ASSERT_ALL(esp_dataset_open(&test_comm, mine, "test", &data) == ESP_IO && !data);
  ASSERT_ALL(strstr(esp_failure_text(), "/no/such.h5") != NULL);
}

static bool has_row(const esp_batch *batch, int64_t row, int64_t sample) {
  return same(batch->tokens + row * T, tokens + sample * T, T) &&
         same(batch->types + row * T, types + sample * T, T) &&
         same(batch->lengths + row, lengths + sample, 1) &&
         same(batch->labels + row, labels + sample, 1);
}

static void esp_dataset_read_gives_tokens_in_the_order_asked(void **state) {
  (void)state;
  static const int64_t order[4] = {1, 2, 0, 2};
  esp_dataset *data;
  esp_batch batch;
  esp_batch_buffer buffer = {0};
  const content what = good();
  set_path("order.h5");
  put(&what);
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "test", &data) == ESP_OK);
  esp_dataset_read(data, NULL, 1, 2, &buffer, &batch);
  ASSERT_ALL(batch.kind == ESP_DATA_TOKENS && batch.count == 2 && batch.width == T);
  ASSERT_ALL(!batch.pixels && has_row(&batch, 0, 1) && has_row(&batch, 1, 2));
  esp_dataset_read(data, order, 0, 3, &buffer, &batch);
  ASSERT_ALL(has_row(&batch, 0, 1) && has_row(&batch, 1, 2) && has_row(&batch, 2, 0));
  esp_dataset_read(data, order, 2, 1, &buffer, &batch);
  ASSERT_ALL(batch.count == 1 && has_row(&batch, 0, 0));
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&data);
}

static void esp_dataset_read_leaves_out_what_the_file_lacks(void **state) {
  (void)state;
  esp_dataset *data;
  esp_batch batch;
  esp_batch_buffer buffer = {0};
  const content what = {ESP_I32, N, T, tokens, NULL, NULL, NULL};
  set_path("lacks.h5");
  put(&what);
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "test", &data) == ESP_OK);
  esp_dataset_read(data, NULL, 0, N, &buffer, &batch);
  ASSERT_ALL(same(batch.tokens, tokens, N * T));
  ASSERT_ALL(!batch.types && !batch.lengths && !batch.labels);
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&data);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_dataset_open_reads_tokens_of_either_width),
              cmocka_unit_test(esp_dataset_open_reads_tokens_alone),
              cmocka_unit_test(esp_dataset_open_fingerprints_all_arrays),
              cmocka_unit_test(esp_dataset_open_refuses_values_out_of_range),
              cmocka_unit_test(esp_dataset_open_refuses_other_shapes_and_types),
              cmocka_unit_test(esp_dataset_open_refuses_a_file_without_tokens),
              cmocka_unit_test(esp_dataset_open_reads_the_names_of_hugging_face),
              cmocka_unit_test(esp_dataset_open_refuses_masks_that_lengths_can_not_say),
              cmocka_unit_test(esp_dataset_open_refuses_one_thing_under_two_names),
              cmocka_unit_test(esp_dataset_open_refuses_more_tokens_than_a_file_can_hold),
              cmocka_unit_test(esp_dataset_open_reads_compressed_tokens),
              cmocka_unit_test(esp_dataset_open_finds_the_file_of_a_split),
              cmocka_unit_test(esp_dataset_open_fails_everywhere_when_rank_0_cannot_read),
              cmocka_unit_test(esp_dataset_read_gives_tokens_in_the_order_asked),
              cmocka_unit_test(esp_dataset_read_leaves_out_what_the_file_lacks))
