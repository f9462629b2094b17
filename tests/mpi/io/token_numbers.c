/* Token files of numbers of any type, and what is suspicious about their content. */
#include "mpi.h"

#include "espalier/io/dataset.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 4, T = 8 };

static char path[160];

/* What is put under a name, of an HDF5 type. */
typedef struct column {
  const char *name;
  hid_t type;
  int rank;
  hsize_t dims[2];
  const double *values;
} column;

static void put(const char *name, const column *columns, int n) {
  snprintf(path, sizeof path, "%s", test_path(name));
  if (test_comm.rank == 0) {
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < n; i++) {
      const hid_t space = H5Screate_simple(columns[i].rank, columns[i].dims, NULL);
      const hid_t set = H5Dcreate2(file, columns[i].name, columns[i].type, space, H5P_DEFAULT,
                                   H5P_DEFAULT, H5P_DEFAULT);
      if (H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, columns[i].values) < 0)
        MPI_Abort(MPI_COMM_WORLD, 3);
      H5Dclose(set);
      H5Sclose(space);
    }
    H5Fclose(file);
  }
  esp_barrier(&test_comm);
}

/* Different in all rows, without runs. */
static const double *tokens(void) {
  static double values[N * T];
  for (int i = 0; i < N * T; i++) values[i] = 1 + (7 * i) % 61;
  return values;
}

static column tokens_of(hid_t type, const double *values) {
  return (column){"/tokens", type, 2, {N, T}, values};
}

static bool opens(esp_dataset **data) {
  return esp_dataset_open(&test_comm, path, "test", data) == ESP_OK;
}

static void check_refused(const char *part) {
  esp_dataset *data;
  const esp_status status = esp_dataset_open(&test_comm, path, "test", &data);
  const bool right = status == ESP_FORMAT && strstr(esp_failure_text(), part) && !data;
  if (!right) print_error("%d '%s' lacks '%s'\n", (int)status, esp_failure_text(), part);
  ASSERT_ALL(right);
}

static void check_read(hid_t type) {
  esp_dataset *data;
  const column columns[] = {tokens_of(type, tokens()),
                            {"/lengths", type, 1, {N}, (const double[N]){8, 1, 3, 8}},
                            {"/labels", type, 1, {N}, (const double[N]){2, 0, 1, 2}}};
  put("types.h5", columns, 3);
  ASSERT_ALL(opens(&data));
  bool same = true;
  for (int i = 0; i < N * T; i++) same = same && data->tokens[i] == (int32_t)tokens()[i];
  ASSERT_ALL(same && data->lengths[1] == 1 && data->labels[0] == 2 && data->classes == 3);
  ASSERT_ALL(!data->targets && data->n_targets == 0);
  esp_dataset_close(&data);
}

static void esp_dataset_open_reads_integers_of_any_type(void **state) {
  (void)state;
  const hid_t types[] = {H5T_STD_I8LE,  H5T_STD_U8LE,  H5T_STD_I16LE, H5T_STD_U16LE, H5T_STD_I32LE,
                         H5T_STD_U32LE, H5T_STD_I64LE, H5T_STD_U64LE, H5T_STD_I16BE, H5T_STD_U16BE,
                         H5T_STD_I32BE, H5T_STD_U32BE, H5T_STD_I64BE, H5T_STD_U64BE};
  for (unsigned i = 0; i < sizeof types / sizeof *types; i++) check_read(types[i]);
}

static void check_too_large(hid_t type, double value, const char *part) {
  double values[N * T];
  memcpy(values, tokens(), sizeof values);
  values[T + 1] = value;
  put("large.h5", (const column[]){tokens_of(type, values)}, 1);
  check_refused(part);
}

static void esp_dataset_open_names_what_does_not_fit(void **state) {
  (void)state;
  check_too_large(H5T_STD_U32LE, 4294967295.0,
                  "/tokens: values from 0 to 2147483646 are expected, "
                  "found 4294967295 in row 1");
  check_too_large(H5T_STD_U64BE, 0x1p63, "found 9223372036854775807 or more in row 1");
  check_too_large(H5T_STD_I16BE, -2.0, "found -2 in row 1");
  check_too_large(H5T_STD_I64LE, 4294967301.0, "found 4294967301 in row 1"); // 5 if it were cut
}

static void esp_dataset_open_refuses_floats_for_integers(void **state) {
  (void)state;
  put("floats.h5", (const column[]){tokens_of(H5T_IEEE_F32LE, tokens())}, 1);
  check_refused("/tokens: integers are expected, found float32; write them as int32");
  put("floats.h5", (const column[]){tokens_of(H5T_IEEE_F64BE, tokens())}, 1);
  check_refused("found big-endian float64");
  const column lengths = {"/lengths", H5T_IEEE_F32LE, 1, {N}, (const double[N]){1, 2, 3, 4}};
  put("floats.h5", (const column[]){tokens_of(H5T_STD_I32LE, tokens()), lengths}, 2);
  check_refused("/lengths: integers are expected, found float32");
}

/* As h5py writes numpy's bool. */
static void esp_dataset_open_reads_a_mask_of_truth_values(void **state) {
  (void)state;
  esp_dataset *data;
  double mask[N * T];
  for (int i = 0; i < N * T; i++) mask[i] = i % T < 3;
  const hid_t truth = H5Tenum_create(H5T_NATIVE_INT8);
  H5Tenum_insert(truth, "FALSE", (const int8_t[]){0});
  H5Tenum_insert(truth, "TRUE", (const int8_t[]){1});
  snprintf(path, sizeof path, "%s", test_path("mask.h5"));
  put("mask.h5", (const column[]){tokens_of(H5T_STD_U16LE, tokens())}, 1);
  if (test_comm.rank == 0) {
    int8_t words[N * T];
    for (int i = 0; i < N * T; i++) words[i] = (int8_t)mask[i];
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(2, (const hsize_t[]){N, T}, NULL);
    const hid_t set =
        H5Dcreate2(file, "/attention_mask", truth, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, truth, H5S_ALL, H5S_ALL, H5P_DEFAULT, words);
    H5Dclose(set), H5Sclose(space), H5Fclose(file);
  }
  esp_barrier(&test_comm);
  H5Tclose(truth);
  ASSERT_ALL(opens(&data));
  ASSERT_ALL(data->lengths && data->lengths[0] == 3 && data->lengths[3] == 3);
  esp_dataset_close(&data);
}

/* Open with these labels of n columns. */
static esp_dataset *open_labels(hid_t type, int rank, hsize_t n, const double *values) {
  esp_dataset *data;
  const column labels = {"/labels", type, rank, {N, n}, values};
  put("labels.h5", (const column[]){tokens_of(H5T_STD_I32LE, tokens()), labels}, 2);
  ASSERT_ALL(opens(&data));
  return data;
}

static void esp_dataset_open_reads_labels_that_are_numbers(void **state) {
  (void)state;
  static const double values[2 * N] = {0.5, -1, 2, 1e3, 0, 0, 1, 7}, classes[N] = {1, 0, 3, 1};
  esp_dataset *data = open_labels(H5T_IEEE_F64BE, 1, 0, values);
  ASSERT_ALL(!data->labels && data->classes == 0 && data->n_targets == 1);
  ASSERT_ALL(data->targets[0] == 0.5f && data->targets[3] == 1e3f);
  esp_dataset_close(&data);
  data = open_labels(H5T_STD_I16LE, 2, 2, values + 1); // -1, 2, 1000, 0, 0, 1, 7
  ASSERT_ALL(!data->labels && data->n_targets == 2 && data->targets[0] == -1.0f);
  esp_dataset_close(&data);
  data = open_labels(H5T_STD_I32LE, 1, 0, values + 1);
  ASSERT_ALL(!data->labels && data->n_targets == 1 && data->targets[2] == 1000.0f);
  esp_dataset_close(&data);
  data = open_labels(H5T_STD_U8LE, 2, 1, classes);
  ASSERT_ALL(!data->targets && data->classes == 4 && data->labels[2] == 3);
  esp_dataset_close(&data);
}

static void esp_dataset_open_refuses_labels_that_are_none(void **state) {
  (void)state;
  static const double bad[N] = {0, 1, NAN, 2}, wide[N] = {0, 4294967296.0, 1, 2};
  const column floats = {"/labels", H5T_IEEE_F32LE, 1, {N}, bad},
               integers = {"/labels", H5T_STD_I64LE, 1, {N}, wide},
               few = {"/labels", H5T_IEEE_F32LE, 1, {N - 1}, tokens()};
  put("labels.h5", (const column[]){tokens_of(H5T_STD_I32LE, tokens()), floats}, 2);
  check_refused("/labels: finite numbers are expected, found nan in row 2");
  put("labels.h5", (const column[]){tokens_of(H5T_STD_I32LE, tokens()), integers}, 2);
  check_refused("/labels: integers of 32 bits are expected, found 4294967296 in row 1");
  put("labels.h5", (const column[]){tokens_of(H5T_STD_I32LE, tokens()), few}, 2);
  check_refused("/labels: shape (4), or (4, labels), is expected beside these /tokens, found (3)");
}

static uint64_t find_fingerprint(const double *labels) {
  esp_dataset *data = open_labels(H5T_IEEE_F32LE, 1, 0, labels);
  const uint64_t fingerprint = data->fingerprint;
  esp_dataset_close(&data);
  return fingerprint;
}

static void esp_dataset_open_fingerprints_targets(void **state) {
  (void)state;
  const uint64_t one = find_fingerprint((const double[N]){1, 2, 3, 4.5});
  ASSERT_ALL(one != find_fingerprint((const double[N]){1, 2, 3, 4.25}));
  ASSERT_ALL(one == find_fingerprint((const double[N]){1, 2, 3, 4.5}));
}

static void esp_dataset_read_gives_targets_in_the_order_asked(void **state) {
  (void)state;
  static const double values[2 * N] = {0, 1, 2, 3, 4, 5, 6, 7};
  static const int64_t order[2] = {3, 1};
  esp_batch_buffer buffer = {0};
  esp_batch batch;
  esp_dataset *data = open_labels(H5T_IEEE_F32LE, 2, 2, values);
  esp_dataset_read(data, order, 0, 2, &buffer, &batch);
  ASSERT_ALL(batch.n_targets == 2 && !batch.labels);
  ASSERT_ALL(batch.targets[0] == 6.0f && batch.targets[1] == 7.0f && batch.targets[3] == 3.0f);
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&data);
}

static void esp_dataset_open_refuses_one_token_repeated(void **state) {
  (void)state;
  double values[N * T];
  for (int i = 0; i < N * T; i++) values[i] = 9;
  put("one.h5", (const column[]){tokens_of(H5T_STD_I32LE, values)}, 1);
  check_refused("/tokens: text is expected, found token 9 alone, repeated");
  for (int i = 0; i < N * T; i++) values[i] = i % T < 2 ? 9 : 0;
  const column lengths = {"/lengths", H5T_STD_I32LE, 1, {N}, (const double[N]){2, 1, 1, 2}};
  put("one.h5", (const column[]){tokens_of(H5T_STD_I32LE, values), lengths}, 2);
  check_refused("found token 9 alone");
}

/* The first `rows` sequences with `run` zeros at a side. */
static const double *pad(int rows, int run, bool is_left) {
  static double values[N * T];
  memcpy(values, tokens(), sizeof values);
  for (int row = 0; row < rows; row++)
    for (int t = 0; t < run; t++) values[row * T + (is_left ? t : T - 1 - t)] = 0;
  return values;
}

static void esp_dataset_open_refuses_padding_that_nothing_tells(void **state) {
  (void)state;
  put("padded.h5", (const column[]){tokens_of(H5T_STD_I32LE, pad(3, 5, false))}, 1);
  check_refused("3 of 4 sequences end in up to 5 times token 0, which is padding; add /lengths");
  put("padded.h5", (const column[]){tokens_of(H5T_STD_I32LE, pad(2, 4, true))}, 1);
  check_refused("2 of 4 sequences begin with up to 4 times token 0, which is padding; write them "
                "with padding on the right");
}

static void esp_dataset_open_takes_lengths_for_an_answer(void **state) {
  (void)state;
  esp_dataset *data;
  column lengths = {"/lengths", H5T_STD_I32LE, 1, {N}, (const double[N]){8, 8, 8, 8}};
  put("told.h5", (const column[]){tokens_of(H5T_STD_I32LE, pad(3, 5, false)), lengths}, 2);
  ASSERT_ALL(opens(&data));
  esp_dataset_close(&data);
  put("told.h5", (const column[]){tokens_of(H5T_STD_I32LE, pad(3, 5, true)), lengths}, 2);
  ASSERT_ALL(opens(&data));
  esp_dataset_close(&data);
  lengths.values = (const double[N]){3, 3, 3, 8}; // ones of a mask on the right
  put("told.h5", (const column[]){tokens_of(H5T_STD_I32LE, pad(3, 5, true)), lengths}, 2);
  check_refused("3 of 4 sequences begin with up to 5 times token 0");
}

static void esp_dataset_open_takes_repetitions_for_text(void **state) {
  (void)state;
  esp_dataset *data;
  put("text.h5", (const column[]){tokens_of(H5T_STD_I32LE, pad(1, 6, false))}, 1);
  ASSERT_ALL(opens(&data));
  esp_dataset_close(&data);
  put("text.h5", (const column[]){tokens_of(H5T_STD_I32LE, pad(4, 3, true))}, 1);
  ASSERT_ALL(opens(&data));
  esp_dataset_close(&data);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_dataset_open_reads_integers_of_any_type),
              cmocka_unit_test(esp_dataset_open_names_what_does_not_fit),
              cmocka_unit_test(esp_dataset_open_refuses_floats_for_integers),
              cmocka_unit_test(esp_dataset_open_reads_a_mask_of_truth_values),
              cmocka_unit_test(esp_dataset_open_reads_labels_that_are_numbers),
              cmocka_unit_test(esp_dataset_open_refuses_labels_that_are_none),
              cmocka_unit_test(esp_dataset_open_fingerprints_targets),
              cmocka_unit_test(esp_dataset_read_gives_targets_in_the_order_asked),
              cmocka_unit_test(esp_dataset_open_refuses_one_token_repeated),
              cmocka_unit_test(esp_dataset_open_refuses_padding_that_nothing_tells),
              cmocka_unit_test(esp_dataset_open_takes_lengths_for_an_answer),
              cmocka_unit_test(esp_dataset_open_takes_repetitions_for_text))
