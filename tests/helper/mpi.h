/* An MPI test's main: the same cases on every rank, rank 0 prints, any rank's failure fails all. */
#ifndef ESPALIER_TESTS_MPI_H
#define ESPALIER_TESTS_MPI_H

#include "espalier/comm/handle.h"
#include "helper.h"

#include <stdio.h>

/* Communicator of the test program, made by main. */
extern esp_comm test_comm;

/* True on all ranks iff true on all ranks. Collective. */
static inline int test_all(int condition) {
  return esp_agree_max_i64(&test_comm, condition == 0) == 0;
}
#define ASSERT_ALL(condition) assert_true(test_all(condition))

/* A scratch path of this test run, the same on all ranks, in a static buffer. Collective. */
const char *test_path(const char *name);

/* Make a folder, or write a file, from rank 0; failing ends the job. Collective. */
void test_make_folder(const char *path);
void test_write_file(const char *path, const void *bytes, size_t count);

int test_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count);

#define ESP_TEST_MAIN(...)                                \
  int main(int argc, char **argv) {                       \
    const struct CMUnitTest tests[] = {__VA_ARGS__};      \
    return test_run(argc, argv, tests, ESP_COUNT(tests)); \
  }

#endif
