#include "h5_helper.h"

/* A file laid out with two datasets and a text, now to be filled. */
static esp_h5 *lay_out(const char *name) {
  esp_h5 *file;
  set_path(name);
  ASSERT_ALL(esp_h5_lay_out(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_write_text(file, "/text", "words") == ESP_OK);
  ASSERT_ALL(write_blocks(file, "/group/one", &cube, 0) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "/group/two", &cube, 1) == ESP_OK);
  ASSERT_ALL(esp_h5_fill(file) == ESP_OK);
  return file;
}

static char *read_bytes(int64_t *bytes) {
  char *data;
  ASSERT_ALL(esp_file_read(&test_comm, path, &data, bytes) == ESP_OK);
  return data;
}

static char *write_undisturbed(int64_t *bytes) {
  esp_h5 *file = lay_out("whole.h5");
  ASSERT_ALL(write_blocks(file, "/group/one", &cube, 0) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "/group/two", &cube, 1) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  return read_bytes(bytes);
}

static void esp_h5_fill_gives_a_file_like_any_other(void **state) {
  (void)state;
  int64_t bytes;
  char *data = write_undisturbed(&bytes), *text;
  esp_h5 *file;
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(reads_blocks(file, "/group/one", &cube, 2) &&
             reads_blocks(file, "/group/two", &cube, 0));
  ASSERT_ALL(esp_h5_read_text(file, "/text", &text) == ESP_OK && strcmp(text, "words") == 0);
  esp_h5_close(&file);
  esp_free(&text);
  esp_free(&data);
}

static void esp_h5_open_partial_ends_in_the_bytes_of_an_undisturbed_run(void **state) {
  (void)state;
  int64_t bytes, resumed_bytes;
  char *whole = write_undisturbed(&bytes);
  esp_h5 *file = lay_out("resumed.h5");
  ASSERT_ALL(write_blocks(file, "/group/one", &cube, 0) == ESP_OK && esp_h5_flush(file) == ESP_OK);
  esp_h5_keep(&file);
  ASSERT_ALL(file == NULL && access(path, F_OK) != 0 && access(partial, F_OK) == 0);
  ASSERT_ALL(esp_h5_open_partial(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "/group/two", &cube, 1) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  char *resumed = read_bytes(&resumed_bytes);
  ASSERT_ALL(bytes == resumed_bytes && memcmp(whole, resumed, (size_t)bytes) == 0);
  esp_free(&resumed);
  esp_free(&whole);
}

static void copy_partial(const char *to) {
  char *data;
  int64_t bytes;
  ASSERT_ALL(esp_file_read(&test_comm, partial, &data, &bytes) == ESP_OK);
  set_path(to);
  test_write_file(partial, data, (size_t)bytes);
  esp_free(&data);
}

/* What a kill leaves is what the disk has at that moment, nothing closed. */
static void esp_h5_open_partial_reads_what_a_kill_has_left(void **state) {
  (void)state;
  int64_t bytes, resumed_bytes;
  char *whole = write_undisturbed(&bytes);
  esp_h5 *killed = lay_out("killed.h5"), *file;
  ASSERT_ALL(write_blocks(killed, "/group/one", &cube, 0) == ESP_OK);
  copy_partial("copy.h5");
  ASSERT_ALL(esp_h5_open_partial(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "/group/one", &cube, 0) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "/group/two", &cube, 1) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  char *resumed = read_bytes(&resumed_bytes);
  ASSERT_ALL(bytes == resumed_bytes && memcmp(whole, resumed, (size_t)bytes) == 0);
  esp_h5_close(&killed);
  esp_free(&resumed);
  esp_free(&whole);
}

static void esp_h5_fill_refuses_what_the_layout_lacks(void **state) {
  (void)state;
  const esp_h5_shape other = {ESP_I32, 2, {4, 3}};
  esp_h5 *file = lay_out("lacks.h5");
  ASSERT_ALL(failed(write_blocks(file, "/group/three", &cube, 0), ESP_FORMAT, "/group/three"));
  ASSERT_ALL(failed(write_blocks(file, "/group/one", &other, 0), ESP_FORMAT, "/group/one"));
  ASSERT_ALL(write_blocks(file, "/group/one", &cube, 0) == ESP_OK);
  esp_h5_close(&file);
  esp_barrier(&test_comm); // rank 0 removes it
  ASSERT_ALL(is_absent());
}

static void esp_h5_open_partial_refuses_a_truncated_or_missing_file(void **state) {
  (void)state;
  esp_h5 *file = lay_out("short.h5");
  esp_h5_keep(&file);
  esp_barrier(&test_comm);
  if (test_comm.rank == 0 && truncate(partial, 1000) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
  ASSERT_ALL(failed(esp_h5_open_partial(&test_comm, path, &file), ESP_FORMAT, "truncated"));
  ASSERT_ALL(file == NULL && access(partial, F_OK) == 0);
  set_path("short.h5");
  ASSERT_ALL(failed(esp_h5_open_partial(&test_comm, path, &file), ESP_IO, "cannot open"));
}

ESP_TEST_MAIN(cmocka_unit_test(esp_h5_fill_gives_a_file_like_any_other),
              cmocka_unit_test(esp_h5_open_partial_ends_in_the_bytes_of_an_undisturbed_run),
              cmocka_unit_test(esp_h5_open_partial_reads_what_a_kill_has_left),
              cmocka_unit_test(esp_h5_fill_refuses_what_the_layout_lacks),
              cmocka_unit_test(esp_h5_open_partial_refuses_a_truncated_or_missing_file))
