#include "claim.h"
#include "h5_helper.h"

static void esp_h5_commit_fails_everywhere_when_the_name_became_a_folder(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("folder.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  test_make_folder(path);
  ASSERT_ALL(failed(esp_h5_commit(&file), ESP_IO, "folder") && file == NULL);
  if (test_comm.rank == 0) rmdir(path);
  esp_barrier(&test_comm);
  ASSERT_ALL(is_absent());
}

static void esp_h5_create_refuses_a_missing_folder(void **state) {
  (void)state;
  esp_h5 *file;
  ASSERT_ALL(failed(esp_h5_create(&test_comm, "/no/such/x.h5", &file), ESP_IO, "no folder") &&
             !file);
}

static void esp_h5_create_fails_everywhere_when_one_rank_sees_another_path(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("seen.h5");
  const bool bad = test_comm.rank == test_comm.size - 1;
  const esp_status status = esp_h5_create(&test_comm, bad ? "/no/such/x.h5" : path, &file);
  ASSERT_ALL(failed(status, ESP_IO, "/no/such/x.h5") && !file);
  esp_barrier(&test_comm);
  ASSERT_ALL(is_absent());
}

static void check_write_mismatch(const esp_h5_slab *slab, const char *part) {
  static const int32_t data[1000];
  esp_h5 *file;
  set_path("bad.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_write(file, "x", &cube, slab, data), ESP_MISMATCH, part));
  ASSERT_ALL(!esp_h5_has(file, "x"));
  ASSERT_ALL(write_blocks(file, "x", &cube, 0) == ESP_OK); // the file is still good
  esp_h5_close(&file);
}

static void esp_h5_write_fails_everywhere_when_one_slab_lies_outside(void **state) {
  (void)state;
  esp_h5_slab slab = slab_of(&test_comm, 0, 7);
  if (test_comm.rank == test_comm.size - 1) slab = (esp_h5_slab){0, 7, 1};
  check_write_mismatch(&slab, "lies outside");
}

static void esp_h5_write_fails_everywhere_when_one_rank_takes_another_axis(void **state) {
  (void)state;
  esp_h5_slab slab = slab_of(&test_comm, 0, 7);
  if (test_comm.rank == test_comm.size - 1) slab = (esp_h5_slab){3, 0, 1};
  check_write_mismatch(&slab, "axis 3");
}

static void esp_h5_write_fails_when_the_slabs_leave_a_gap(void **state) {
  (void)state;
  esp_h5_slab slab = slab_of(&test_comm, 0, 7);
  if (test_comm.rank == 0) slab.count--;
  check_write_mismatch(&slab, "6 of 7");
}

static void esp_h5_write_fails_everywhere_when_ranks_differ_in_shape(void **state) {
  (void)state;
  static const int32_t data[1000];
  esp_h5 *file;
  esp_h5_shape shape = {ESP_I32, 1, {8}};
  set_path("differ.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  const bool bad = test_comm.size > 1 && test_comm.rank == test_comm.size - 1;
  if (bad) shape.dims[0] = 9;
  const esp_status status = esp_h5_write_root(file, "x", &shape, data);
  ASSERT_ALL(test_comm.size == 1 ? status == ESP_OK : failed(status, ESP_MISMATCH, "than rank 0"));
  esp_h5_close(&file);
}

static void esp_h5_write_refuses_a_name_that_is_taken(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("taken.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "a/x", &cube, 0) == ESP_OK);
  ASSERT_ALL(failed(write_blocks(file, "a/x", &cube, 0), ESP_IO, "a/x"));
  ASSERT_ALL(failed(write_blocks(file, "a/x/y", &cube, 0), ESP_IO, "a/x/y"));
  ASSERT_ALL(failed(write_blocks(file, "a/", &cube, 0), ESP_MISMATCH, "cannot name"));
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
}

static const esp_h5_shape big = {ESP_I32, 1, {1 << 20}};

static void check_write_under_limit(bool limited) {
  esp_h5 *file;
  set_path("limit.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "small", &cube, 0) == ESP_OK);
  if (limited) set_size_limit(3 << 20);
  const esp_status status = write_blocks(file, "big", &big, 0);
  esp_h5_close(&file);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(failed(status, ESP_IO, "ulimit -f"));
  esp_barrier(&test_comm);
  ASSERT_ALL(is_absent());
}

static void esp_h5_write_fails_everywhere_under_a_file_size_limit(void **state) {
  (void)state;
  check_write_under_limit(true);
}

static void esp_h5_write_fails_everywhere_when_one_rank_has_a_file_size_limit(void **state) {
  (void)state;
  check_write_under_limit(test_comm.rank == test_comm.size - 1);
}

static void esp_h5_write_that_fails_leaves_the_file_usable(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("usable.h5");
  set_size_limit(3 << 20);
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "big", &big, 0) == ESP_IO);
  ASSERT_ALL(write_blocks(file, "small", &cube, 0) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(!esp_h5_has(file, "big") && reads_blocks(file, "small", &cube, 0));
  esp_h5_close(&file);
}

static void esp_h5_create_fails_everywhere_under_a_file_size_limit(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("tiny.h5");
  if (test_comm.rank == 0) set_size_limit(100);
  const esp_status status = esp_h5_create(&test_comm, path, &file);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(failed(status, ESP_IO, "ulimit -f") && !file);
  esp_barrier(&test_comm);
  ASSERT_ALL(is_absent());
}

static void esp_h5_write_refuses_what_no_disk_can_hold(void **state) {
  (void)state;
  const esp_h5_shape huge = {ESP_F64, 2, {1 << 30, 1 << 20}},
                     beyond = {ESP_F64, 2, {1 << 30, INT64_C(1) << 40}};
  const esp_h5_slab slab = slab_of(&test_comm, 0, huge.dims[0]);
  esp_h5 *file;
  set_path("huge.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_write(file, "x", &huge, &slab, NULL), ESP_IO, "more bytes"));
  ASSERT_ALL(
      failed(esp_h5_write(file, "x", &beyond, &slab, NULL), ESP_MISMATCH, "cannot be stored"));
  esp_h5_close(&file);
}

static void check_open_failure(esp_status code, const char *part) {
  esp_h5 *file;
  ASSERT_ALL(failed(esp_h5_open(&test_comm, path, &file), code, part) && !file);
}

static void esp_h5_open_refuses_what_is_not_there_or_not_hdf5(void **state) {
  (void)state;
  const char damaged[64] = "\x89HDF\r\n\x1a\n and then nothing sensible";
  const char other[64] = "this is not an HDF5 file";
  set_path("absent.h5");
  check_open_failure(ESP_IO, "No such file");
  test_write_file(path, other, sizeof other);
  check_open_failure(ESP_FORMAT, "not an HDF5 file");
  test_write_file(path, "", 0);
  check_open_failure(ESP_FORMAT, "is empty");
  test_write_file(path, "\x89H", 2);
  check_open_failure(ESP_FORMAT, "not an HDF5 file");
  test_write_file(path, damaged, sizeof damaged);
  check_open_failure(ESP_FORMAT, "HDF5");
  strcpy(path, "/tmp");
  check_open_failure(ESP_IO, "folder");
}

static void esp_h5_open_refuses_every_truncation(void **state) {
  (void)state;
  struct stat about;
  esp_h5 *file;
  set_path("cut.h5");
  ASSERT_ALL(write_sample_file(&test_comm) == ESP_OK && stat(path, &about) == 0);
  esp_barrier(&test_comm);
  for (int64_t bytes = about.st_size - 1; bytes > 0; bytes /= 2) {
    if (test_comm.rank == 0 && truncate(path, bytes) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
    esp_barrier(&test_comm);
    ASSERT_ALL(failed(esp_h5_open(&test_comm, path, &file), ESP_FORMAT, path));
    if (bytes > 48) ASSERT_ALL(strstr(esp_failure_text(), "truncated") != NULL);
  }
}

static void esp_h5_open_fails_everywhere_when_one_rank_cannot(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("shared.h5");
  ASSERT_ALL(write_sample_file(&test_comm) == ESP_OK);
  for (int bad = 0; bad < test_comm.size; bad++) {
    const esp_status status =
        esp_h5_open(&test_comm, test_comm.rank == bad ? "/no/such.h5" : path, &file);
    ASSERT_ALL(failed(status, ESP_IO, "/no/such.h5") && !file);
  }
}

static void check_claim_refused(const hsize_t *dims, int rank, const char *part) {
  esp_h5 *file;
  esp_h5_shape shape;
  const esp_h5_shape expected = {ESP_F64, 1, {1}};
  set_path("claim.h5");
  if (test_comm.rank == 0) unlink(path);
  test_claim(path, "x", H5T_IEEE_F64LE, dims, rank);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_get_shape(file, "x", &shape), ESP_FORMAT, part));
  ASSERT_ALL(failed(esp_h5_expect_shape(file, "x", &expected), ESP_FORMAT, part));
  ASSERT_ALL(failed(esp_h5_read_all(file, "x", NULL), ESP_FORMAT, part));
  ASSERT_ALL(failed(esp_h5_read(file, "x", &(esp_h5_slab){0, 0, 1}, NULL), ESP_FORMAT, part));
  esp_h5_close(&file);
}

/* A product of 2^61, of 2^70 (which would wrap to 0), and what fits an int64 but not this file. */
static void esp_h5_get_shape_refuses_more_than_a_file_can_hold(void **state) {
  (void)state;
  const hsize_t one = 1;
  check_claim_refused((const hsize_t[]){one << 31, one << 30}, 2, "2147483648, 1073741824)");
  check_claim_refused((const hsize_t[]){one << 30, one << 20, one << 20}, 3, "claims to be F64");
  check_claim_refused((const hsize_t[]){one << 30}, 1, "claims to be F64 (1073741824)");
}

static void esp_h5_read_text_refuses_more_than_a_file_can_hold(void **state) {
  (void)state;
  esp_h5 *file;
  char *text;
  const hid_t type = H5Tcopy(H5T_C_S1);
  set_path("text.h5");
  if (test_comm.rank == 0) unlink(path);
  H5Tset_size(type, (size_t)1 << 31);
  test_claim(path, "x", type, NULL, 0);
  H5Tclose(type);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_read_text(file, "x", &text), ESP_FORMAT, "of 2147483648 bytes") &&
             !text);
  esp_h5_close(&file);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_h5_get_shape_refuses_more_than_a_file_can_hold),
              cmocka_unit_test(esp_h5_read_text_refuses_more_than_a_file_can_hold),
              cmocka_unit_test(esp_h5_commit_fails_everywhere_when_the_name_became_a_folder),
              cmocka_unit_test(esp_h5_create_refuses_a_missing_folder),
              cmocka_unit_test(esp_h5_create_fails_everywhere_when_one_rank_sees_another_path),
              cmocka_unit_test(esp_h5_create_fails_everywhere_under_a_file_size_limit),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_one_slab_lies_outside),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_one_rank_takes_another_axis),
              cmocka_unit_test(esp_h5_write_fails_when_the_slabs_leave_a_gap),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_ranks_differ_in_shape),
              cmocka_unit_test(esp_h5_write_refuses_a_name_that_is_taken),
              cmocka_unit_test(esp_h5_write_fails_everywhere_under_a_file_size_limit),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_one_rank_has_a_file_size_limit),
              cmocka_unit_test(esp_h5_write_that_fails_leaves_the_file_usable),
              cmocka_unit_test(esp_h5_write_refuses_what_no_disk_can_hold),
              cmocka_unit_test(esp_h5_open_refuses_what_is_not_there_or_not_hdf5),
              cmocka_unit_test(esp_h5_open_refuses_every_truncation),
              cmocka_unit_test(esp_h5_open_fails_everywhere_when_one_rank_cannot))
