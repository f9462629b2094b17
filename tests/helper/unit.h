/* A unit test's main: one process, no MPI. */
#ifndef ESPALIER_TESTS_UNIT_H
#define ESPALIER_TESTS_UNIT_H

#include "helper.h"

#define ESP_TEST_MAIN(...)                            \
  int main(void) {                                    \
    const struct CMUnitTest tests[] = {__VA_ARGS__};  \
    return cmocka_run_group_tests(tests, NULL, NULL); \
  }

#endif
