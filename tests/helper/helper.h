/* What every test shares. A test file defines its cases and ends with
 *   ESP_TEST_MAIN(cmocka_unit_test(...), ...)
 * In MPI tests assert only what all ranks have agreed on: ESP_ASSERT_ALL(comm, condition). */
#ifndef ESPALIER_TESTS_HELPER_H
#define ESPALIER_TESTS_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "espalier/core/memory.h"
#include "espalier/core/rng.h"
#include "espalier/core/status.h"

#define ESP_COUNT(array) (sizeof(array) / sizeof *(array))

/* Assert that a call failed with this code and that its text has a part. */
#define assert_failure(call, code, part)                                    \
  do {                                                                      \
    assert_int_equal((call), (code));                                       \
    if (!strstr(esp_failure_text(), (part)))                                \
      fail_msg("failure text '%s' lacks '%s'", esp_failure_text(), (part)); \
  } while (0)

#endif
