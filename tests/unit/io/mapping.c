#include "unit.h"

#include "espalier/io/mapping.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 3 << 16 };
static const char path[] = "mapping.scratch";

static int make_file(void) {
  static char data[BYTES];
  memset(data, 'x', sizeof data);
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, data, sizeof data), BYTES);
  return fd;
}

static void esp_mapping_open_gives_the_files_bytes(void **state) {
  (void)state;
  const int fd = make_file();
  const void *map;
  assert_int_equal(esp_mapping_open_local(fd, path, BYTES, &map), ESP_OK);
  close(fd);
  assert_int_equal(((const char *)map)[0], 'x');
  assert_int_equal(((const char *)map)[BYTES - 1], 'x');
  esp_mapping_close_local(&map);
  assert_null(map);
  esp_mapping_close_local(&map);
}

static void esp_mapping_close_forgets_the_one_that_it_is_given(void **state) {
  (void)state;
  const int fd = make_file();
  const void *maps[3];
  for (int i = 0; i < 3; i++)
    assert_int_equal(esp_mapping_open_local(fd, path, BYTES, &maps[i]), ESP_OK);
  esp_mapping_close_local(&maps[1]);
  assert_int_equal(((const char *)maps[0])[9] + ((const char *)maps[2])[9], 2 * 'x');
  esp_mapping_close_local(&maps[2]);
  esp_mapping_close_local(&maps[0]);
  close(fd);
}

static void esp_mapping_open_names_the_file_that_cannot_be_mapped(void **state) {
  (void)state;
  const void *map;
  assert_int_equal(esp_mapping_open_local(-1, path, BYTES, &map), ESP_IO);
  assert_non_null(strstr(esp_failure_text(), path));
  assert_null(map);
}

/* All that is written until the other end closes, in however many pieces. */
static void read_all(int fd, char *text, size_t bytes) {
  size_t used = 0;
  for (ssize_t got = 1; got > 0 && used<bytes - 1; used += got> 0 ? (size_t)got : 0)
    got = read(fd, text + used, bytes - 1 - used);
  text[used] = 0;
}

/* What a process says that reads a file which is cut meanwhile; its exit code. */
static int read_cut_file(int rank, char *text, size_t bytes) {
  int ends[2], status;
  assert_int_equal(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = make_file();
    const void *map;
    dup2(ends[1], STDERR_FILENO);
    esp_mapping_catch_faults(rank, NULL);
    if (esp_mapping_open_local(fd, path, BYTES, &map) != ESP_OK || ftruncate(fd, 100) != 0)
      _exit(99);
    _exit(((const volatile char *)map)[BYTES - 1] == 'x' ? 98 : 97);
  }
  close(ends[1]);
  read_all(ends[0], text, bytes);
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_file_cut_while_mapped_ends_in_a_line_that_names_it(void **state) {
  (void)state;
  char text[512];
  for (int rank = 0; rank < 2; rank++) {
    assert_int_equal(read_cut_file(rank, text, sizeof text), ESP_IO);
    char *const line = strstr(text, rank ? "espalier: error: rank 1 cannot read mapping.scratch: "
                                         : "espalier: error: rank 0 cannot read mapping.scratch: ");
    assert_ptr_equal(line, text);
  }
  unlink(path);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_mapping_open_gives_the_files_bytes),
              cmocka_unit_test(esp_mapping_close_forgets_the_one_that_it_is_given),
              cmocka_unit_test(esp_mapping_open_names_the_file_that_cannot_be_mapped),
              cmocka_unit_test(a_file_cut_while_mapped_ends_in_a_line_that_names_it))
