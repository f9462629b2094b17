/* Lists of the command sweep. */
#include "unit.h"

#include "espalier/series/series.h"

#include <string.h>

static esp_status list(const char *sparsity, const char *criterion, const char *repair, int *n,
                       esp_series_point **points) {
  const esp_series_options options = {(char *)(uintptr_t)sparsity, (char *)(uintptr_t)criterion,
                                      (char *)(uintptr_t)repair};
  return esp_series_list(&options, n, points);
}

static void check_refused(const char *sparsity, const char *part) {
  int n;
  esp_series_point *points;
  assert_failure(list(sparsity, "flap", "none", &n, &points), ESP_USAGE, part);
  esp_series_clear_points(n, &points);
}

static void series_list_combines_all(void **state) {
  (void)state;
  static const char *const names[] = {"flap-0.25-none", "flap-0.5-none", "flap-0.25-bias",
                                      "flap-0.5-bias",  "mi-0.25-none",  "mi-0.5-none",
                                      "mi-0.25-bias",   "mi-0.5-bias"};
  int n;
  esp_series_point *points;
  assert_int_equal(list("0.25, 0.50", "flap,mi", "none,bias", &n, &points), ESP_OK);
  assert_int_equal(n, 8);
  for (int i = 0; i < n; i++) assert_string_equal(points[i].name, names[i]);
  assert_true(points[7].sparsity == 0.5);
  esp_series_clear_points(n, &points);
}

static void series_list_counts_on(void **state) {
  (void)state;
  static const double values[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85};
  int n;
  esp_series_point *points;
  assert_int_equal(list("0.1,0.2,...,0.7,0.85", "flap", "none", &n, &points), ESP_OK);
  assert_int_equal(n, 8);
  for (int i = 0; i < n; i++) assert_true(points[i].sparsity == values[i]);
  esp_series_clear_points(n, &points);
}

static void series_list_refuses_what_is_no_list_of_sparsities(void **state) {
  (void)state;
  static const char *const lists[] = {"1", "-0.1", "nan", "inf", "0x1p-2", "0.1,x", "0.1,1e400"};
  for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
    check_refused(lists[i], "--sparsity: expected numbers from 0 to below 1");
  check_refused(",", "expected a list");
  check_refused("0.5,0.50", "asked for twice");
  check_refused("0.1,0.2,...", "found '...'");
}

static void series_list_refuses_dots_that_no_equal_steps_reach(void **state) {
  (void)state;
  static const char *const lists[] = {"...,0.5",           "0.1,...,0.7",     "0.3,0.2,...,0.1",
                                      "0.1,0.3,...,0.6",   "0.2,0.2,...,0.6", "0.1,0.2,...,0.15",
                                      "0,0.00001,...,0.9", "0.1,0.2,...,...", "0.1,0.2,...,0.1"};
  for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
    check_refused(lists[i], "--sparsity: expected");
}

static void series_list_refuses_unknown_names(void **state) {
  (void)state;
  int n;
  esp_series_point *points;
  assert_failure(list("0.5", "flop", "none", &n, &points), ESP_USAGE, "flap");
  assert_failure(list("0.5", "flap", "nine", &n, &points), ESP_USAGE, "none");
  assert_null(points);
}

ESP_TEST_MAIN(cmocka_unit_test(series_list_combines_all), cmocka_unit_test(series_list_counts_on),
              cmocka_unit_test(series_list_refuses_what_is_no_list_of_sparsities),
              cmocka_unit_test(series_list_refuses_dots_that_no_equal_steps_reach),
              cmocka_unit_test(series_list_refuses_unknown_names))
