#include "panic.h"
#include "unit.h"

#include <stdbool.h>
#include <string.h>

static bool panics(void (*action)(void)) {
  char text[256];
  return test_panics(action, text, sizeof text);
}

/* First in the list: later tests leave a text behind. */
static void esp_failure_text_is_empty_before_the_first(void **state) {
  (void)state;
  assert_string_equal(esp_failure_text(), "");
}

static void esp_status_name_names_each_code_and_no_other(void **state) {
  (void)state;
  assert_int_equal(ESP_OK, 0);
  assert_string_equal(esp_status_name(ESP_OK), "success");
  assert_string_equal(esp_status_name(ESP_INTERRUPTED), "interrupted");
  assert_string_equal(esp_status_name((esp_status)(ESP_BEYOND + 1)), "unknown status");
  assert_string_equal(esp_status_name((esp_status)-1), "unknown status");
}

static void esp_fail_returns_the_code_and_keeps_the_text(void **state) {
  (void)state;
  assert_int_equal(esp_fail(ESP_IO, "%s: expected %d", "a.h5", 3), ESP_IO);
  assert_string_equal(esp_failure_text(), "a.h5: expected 3");
}

static void esp_fail_may_quote_the_last_text(void **state) {
  (void)state;
  esp_fail(ESP_IO, "no such file");
  esp_fail(ESP_FORMAT, "reading x: %s", esp_failure_text());
  assert_string_equal(esp_failure_text(), "reading x: no such file");
}

static void esp_fail_keeps_one_line(void **state) {
  (void)state;
  esp_fail(ESP_USAGE, "found '%s'", "a\nb\r\t\033[31m");
  assert_string_equal(esp_failure_text(), "found 'a b   [31m'");
}

static void esp_fail_cuts_long_texts(void **state) {
  (void)state;
  char *text = esp_alloc(5000, 1);
  memset(text, 'x', 4999);
  esp_fail(ESP_USAGE, "%s", text);
  assert_int_equal(strlen(esp_failure_text()), 1023);
  esp_free(&text);
}

static esp_status hand_up(esp_status code, int *passed) {
  ESP_TRY(code);
  *passed = 1;
  return ESP_OK;
}

static void esp_try_returns_on_failure_only(void **state) {
  (void)state;
  int passed = 0;
  assert_int_equal(hand_up(ESP_NUMERIC, &passed), ESP_NUMERIC);
  assert_false(passed);
  assert_int_equal(hand_up(ESP_OK, &passed), ESP_OK);
  assert_true(passed);
}

static void assert_what_is_false(void) {
  ESP_ASSERT(strlen("ab") == 3);
}
static void assert_what_is_true(void) {
  ESP_ASSERT(strlen("ab") == 2);
}

static void esp_panic_names_the_rank_that_was_set(void **state) {
  (void)state;
  char text[256];
  assert_true(test_panics(assert_what_is_false, text, sizeof text));
  assert_null(strstr(text, "rank"));
  esp_set_panic_rank(3);
  assert_true(test_panics(assert_what_is_false, text, sizeof text));
  esp_set_panic_rank(-1);
  assert_int_equal(strncmp(text, "espalier: rank 3: ", 18), 0);
  assert_non_null(strstr(text, "status.c:"));
  assert_non_null(strstr(text, "assertion failed: strlen(\"ab\") == 3\n"));
}

static void end_after_a_failure(void) {
  esp_end_job(esp_fail(ESP_IO, "the disk is full"));
}

static void esp_end_job_prints_the_failure_as_an_error(void **state) {
  (void)state;
  char text[256];
  esp_set_panic_rank(2);
  assert_true(test_panics(end_after_a_failure, text, sizeof text));
  esp_set_panic_rank(-1);
  assert_string_equal(text, "espalier: error: rank 2: the disk is full\n");
}

static void esp_assert_panics_on_false_only(void **state) {
  (void)state;
  assert_true(panics(assert_what_is_false));
  assert_false(panics(assert_what_is_true));
}

static void narrow_too_much(void) {
  esp_int(INT64_C(2147483648));
}
static void narrow_too_little(void) {
  esp_int(INT64_C(-2147483649));
}

static void esp_int_panics_on_what_does_not_fit(void **state) {
  (void)state;
  assert_int_equal(esp_int(INT32_MIN), INT32_MIN);
  assert_true(panics(narrow_too_much));
  assert_true(panics(narrow_too_little));
}

static void allocate_too_much(void) {
  esp_alloc(INT64_MAX, 8);
}
static void allocate_less_than_none(void) {
  esp_alloc(-1, 8);
}

static void esp_alloc_panics_on_sizes_that_overflow(void **state) {
  (void)state;
  assert_true(panics(allocate_too_much));
  assert_true(panics(allocate_less_than_none));
}

ESP_TEST_MAIN(cmocka_unit_test(esp_failure_text_is_empty_before_the_first),
              cmocka_unit_test(esp_status_name_names_each_code_and_no_other),
              cmocka_unit_test(esp_fail_returns_the_code_and_keeps_the_text),
              cmocka_unit_test(esp_fail_may_quote_the_last_text),
              cmocka_unit_test(esp_fail_keeps_one_line), cmocka_unit_test(esp_fail_cuts_long_texts),
              cmocka_unit_test(esp_try_returns_on_failure_only),
              cmocka_unit_test(esp_panic_names_the_rank_that_was_set),
              cmocka_unit_test(esp_end_job_prints_the_failure_as_an_error),
              cmocka_unit_test(esp_assert_panics_on_false_only),
              cmocka_unit_test(esp_int_panics_on_what_does_not_fit),
              cmocka_unit_test(esp_alloc_panics_on_sizes_that_overflow))
