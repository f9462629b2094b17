#include "mpi.h"
#include "scratch.h"

#include "espalier/io/file.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

enum { LONG_BYTES = 200000 };

static void put_gz(const char *name, const char *bytes, unsigned count) {
  if (test_comm.rank == 0) {
    gzFile file = gzopen(name, "wb");
    if (!file || gzwrite(file, bytes, count) != (int)count || gzclose(file) != Z_OK)
      MPI_Abort(MPI_COMM_WORLD, 3);
  }
  esp_barrier(&test_comm);
}

static bool is_there(const char *name) {
  return access(name, F_OK) == 0;
}

static bool holds(const char *name, const char *text) {
  char *data;
  int64_t bytes;
  const bool same = esp_file_read_local(name, &data, &bytes) == ESP_OK &&
                    bytes == (int64_t)strlen(text) && memcmp(data, text, strlen(text)) == 0;
  esp_free(&data);
  return same;
}

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static void fill_noise(char *data) {
  for (int i = 0; i < LONG_BYTES; i++) data[i] = (char)esp_rng_u64(1, 2, (uint64_t)i);
}

static void set_size_limit(rlim_t bytes) {
  struct rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
  setrlimit(RLIMIT_FSIZE, &limit);
}

static void check_read(const char *written) {
  char *data;
  int64_t bytes;
  ASSERT_ALL(esp_file_read(&test_comm, path, &data, &bytes) == ESP_OK);
  ASSERT_ALL(bytes == LONG_BYTES && data[bytes] == 0);
  ASSERT_ALL(memcmp(data, written, LONG_BYTES) == 0);
  esp_free(&data);
}

static void esp_file_read_gives_every_rank_the_bytes(void **state) {
  (void)state;
  static char written[LONG_BYTES];
  fill_noise(written);
  set_path("long");
  test_write_file(path, written, LONG_BYTES);
  check_read(written);
}

static void esp_file_read_gunzips_by_suffix(void **state) {
  (void)state;
  static char written[LONG_BYTES];
  fill_noise(written);
  set_path("long.gz");
  put_gz(path, written, LONG_BYTES);
  check_read(written);
}

static void esp_file_read_takes_an_empty_file(void **state) {
  (void)state;
  char *data;
  int64_t bytes;
  set_path("empty");
  test_write_file(path, "", 0);
  ASSERT_ALL(esp_file_read(&test_comm, path, &data, &bytes) == ESP_OK);
  ASSERT_ALL(bytes == 0 && data[0] == 0);
  esp_free(&data);
}

static void esp_file_read_fails_everywhere_when_rank_0_alone_has_a_bad_path(void **state) {
  (void)state;
  char *data;
  int64_t bytes;
  set_path("good");
  test_write_file(path, "x", 1);
  const char *mine = test_comm.rank == 0 ? "/nowhere/at/all" : path;
  ASSERT_ALL(failed(esp_file_read(&test_comm, mine, &data, &bytes), ESP_IO, "/nowhere/at/all"));
  ASSERT_ALL(data == NULL && bytes == 0);
}

static void esp_file_read_refuses_a_folder(void **state) {
  (void)state;
  char *data;
  int64_t bytes;
  ASSERT_ALL(failed(esp_file_read(&test_comm, "/tmp", &data, &bytes), ESP_IO, "folder"));
}

static void esp_file_read_refuses_cut_gzip(void **state) {
  (void)state;
  static char text[LONG_BYTES];
  char *data;
  int64_t bytes;
  fill_noise(text);
  set_path("cut.gz");
  put_gz(path, text, LONG_BYTES);
  if (test_comm.rank == 0 && truncate(path, LONG_BYTES / 2) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
  ASSERT_ALL(failed(esp_file_read(&test_comm, path, &data, &bytes), ESP_IO, "cut short"));
}

static void esp_file_read_refuses_gzip_with_a_wrong_checksum(void **state) {
  (void)state;
  char *data;
  int64_t bytes;
  set_path("damaged.gz");
  put_gz(path, "some text", 9);
  if (test_comm.rank == 0) {
    FILE *file = fopen(path, "r+b");
    fseek(file, -8, SEEK_END);
    fputs("abcd", file);
    fclose(file);
  }
  ASSERT_ALL(failed(esp_file_read(&test_comm, path, &data, &bytes), ESP_IO, "damaged.gz"));
}

static void esp_file_read_refuses_gz_that_is_not_gzip(void **state) {
  (void)state;
  char *data;
  int64_t bytes;
  set_path("plain.gz");
  test_write_file(path, "plain text", 10);
  ASSERT_ALL(failed(esp_file_read(&test_comm, path, &data, &bytes), ESP_IO, "not a gzip"));
}

static void esp_file_write_text_writes_rank_0s_text_and_nothing_else(void **state) {
  (void)state;
  set_path("text");
  const char *text = test_comm.rank == 0 ? "one\ntwo\n" : NULL;
  ASSERT_ALL(esp_file_write_text(&test_comm, path, text) == ESP_OK);
  ASSERT_ALL(holds(path, "one\ntwo\n"));
  ASSERT_ALL(!is_there(partial));
}

static void esp_file_write_text_replaces_a_file(void **state) {
  (void)state;
  set_path("text");
  test_write_file(path, "a longer old text", 17);
  ASSERT_ALL(esp_file_write_text(&test_comm, path, "new") == ESP_OK);
  ASSERT_ALL(holds(path, "new"));
}

static void esp_file_write_text_keeps_the_old_file_when_it_fails(void **state) {
  (void)state;
  static char text[LONG_BYTES + 1];
  memset(text, 'x', LONG_BYTES);
  set_path("text");
  test_write_file(path, "old", 3);
  if (test_comm.rank == 0) set_size_limit(LONG_BYTES / 2);
  const esp_status status = esp_file_write_text(&test_comm, path, text);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(failed(status, ESP_IO, "too large"));
  ASSERT_ALL(holds(path, "old") && !is_there(partial));
}

static void esp_file_write_text_refuses_a_missing_folder(void **state) {
  (void)state;
  const char *name = test_path("no/such/folder/file");
  ASSERT_ALL(failed(esp_file_write_text(&test_comm, name, "x"), ESP_IO, "no folder"));
}

static void esp_file_write_text_refuses_what_is_not_a_plain_file(void **state) {
  (void)state;
  ASSERT_ALL(failed(esp_file_write_text(&test_comm, "/dev/null", "x"), ESP_IO, "not a plain file"));
  ASSERT_ALL(failed(esp_file_write_text(&test_comm, "/tmp", "x"), ESP_IO, "is a folder"));
  ASSERT_ALL(failed(esp_file_write_text(&test_comm, "", "x"), ESP_IO, "without a name"));
}

static void esp_file_write_text_writes_stdout_for_a_dash(void **state) {
  (void)state;
  set_path("stdout");
  fflush(stdout);
  const int kept = dup(STDOUT_FILENO);
  if (test_comm.rank == 0 && !freopen(path, "w", stdout)) MPI_Abort(MPI_COMM_WORLD, 3);
  const esp_status status = esp_file_write_text(&test_comm, "-", "to stdout\n");
  fflush(stdout);
  dup2(kept, STDOUT_FILENO);
  close(kept);
  ASSERT_ALL(status == ESP_OK && holds(path, "to stdout\n"));
}

static void esp_file_check_writable_removes_a_stale_partial_and_leaves_no_file(void **state) {
  (void)state;
  set_path("out");
  test_write_file(partial, "stale", 5);
  ASSERT_ALL(esp_file_check_writable(&test_comm, path, 1000) == ESP_OK);
  ASSERT_ALL(!is_there(partial) && !is_there(path));
}

static void esp_file_check_writable_keeps_the_file_in_its_place(void **state) {
  (void)state;
  set_path("out");
  test_write_file(path, "old", 3);
  ASSERT_ALL(esp_file_check_writable(&test_comm, path, 0) == ESP_OK);
  ASSERT_ALL(holds(path, "old"));
}

static void esp_file_check_writable_refuses_more_than_is_free(void **state) {
  (void)state;
  set_path("out");
  const esp_status status = esp_file_check_writable(&test_comm, path, INT64_MAX);
  ASSERT_ALL(failed(status, ESP_IO, "free"));
}

static void esp_file_check_writable_refuses_a_missing_folder(void **state) {
  (void)state;
  const char *name = test_path("no/file");
  ASSERT_ALL(failed(esp_file_check_writable(&test_comm, name, 0), ESP_IO, "no folder"));
}

static void esp_file_check_writable_fails_everywhere_for_one_rank_with_a_limit(void **state) {
  (void)state;
  set_path("out");
  if (test_comm.rank == test_comm.size - 1) set_size_limit(1 << 16);
  const esp_status status = esp_file_check_writable(&test_comm, path, 1 << 20);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(failed(status, ESP_IO, "ulimit -f"));
}

static void esp_file_commit_renames_the_partial_file(void **state) {
  (void)state;
  set_path("out");
  test_write_file(partial, "done", 4);
  ASSERT_ALL(esp_file_commit(&test_comm, path) == ESP_OK);
  ASSERT_ALL(holds(path, "done") && !is_there(partial));
}

static void esp_file_commit_fails_everywhere_without_a_partial_file(void **state) {
  (void)state;
  set_path("out");
  ASSERT_ALL(failed(esp_file_commit(&test_comm, path), ESP_IO, path));
  ASSERT_ALL(!is_there(path));
}

static void esp_file_commit_removes_the_partial_file_when_it_fails(void **state) {
  (void)state;
  set_path("out");
  test_write_file(partial, "done", 4);
  test_make_folder(path);
  ASSERT_ALL(failed(esp_file_commit(&test_comm, path), ESP_IO, "folder"));
  ASSERT_ALL(!is_there(partial));
  if (test_comm.rank == 0) rmdir(path);
}

static void esp_file_abandon_removes_the_partial_file_and_bears_a_second_call(void **state) {
  (void)state;
  set_path("out");
  test_write_file(partial, "half", 4);
  esp_file_abandon(&test_comm, path);
  esp_file_abandon(&test_comm, path);
  esp_barrier(&test_comm);
  ASSERT_ALL(!is_there(partial));
}

ESP_TEST_MAIN(cmocka_unit_test(esp_file_read_gives_every_rank_the_bytes),
              cmocka_unit_test(esp_file_read_gunzips_by_suffix),
              cmocka_unit_test(esp_file_read_takes_an_empty_file),
              cmocka_unit_test(esp_file_read_fails_everywhere_when_rank_0_alone_has_a_bad_path),
              cmocka_unit_test(esp_file_read_refuses_a_folder),
              cmocka_unit_test(esp_file_read_refuses_cut_gzip),
              cmocka_unit_test(esp_file_read_refuses_gzip_with_a_wrong_checksum),
              cmocka_unit_test(esp_file_read_refuses_gz_that_is_not_gzip),
              cmocka_unit_test(esp_file_write_text_writes_rank_0s_text_and_nothing_else),
              cmocka_unit_test(esp_file_write_text_replaces_a_file),
              cmocka_unit_test(esp_file_write_text_keeps_the_old_file_when_it_fails),
              cmocka_unit_test(esp_file_write_text_refuses_a_missing_folder),
              cmocka_unit_test(esp_file_write_text_refuses_what_is_not_a_plain_file),
              cmocka_unit_test(esp_file_write_text_writes_stdout_for_a_dash),
              cmocka_unit_test(esp_file_check_writable_removes_a_stale_partial_and_leaves_no_file),
              cmocka_unit_test(esp_file_check_writable_keeps_the_file_in_its_place),
              cmocka_unit_test(esp_file_check_writable_refuses_more_than_is_free),
              cmocka_unit_test(esp_file_check_writable_refuses_a_missing_folder),
              cmocka_unit_test(esp_file_check_writable_fails_everywhere_for_one_rank_with_a_limit),
              cmocka_unit_test(esp_file_commit_renames_the_partial_file),
              cmocka_unit_test(esp_file_commit_fails_everywhere_without_a_partial_file),
              cmocka_unit_test(esp_file_commit_removes_the_partial_file_when_it_fails),
              cmocka_unit_test(esp_file_abandon_removes_the_partial_file_and_bears_a_second_call))
