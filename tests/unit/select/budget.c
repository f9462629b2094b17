#include "unit.h"

#include "espalier/select/budget.h"

#include <string.h>

static int64_t keep(double sparsity, int64_t multiple_of, int64_t min_keep, int64_t units) {
  const esp_budget_rule rule = {sparsity, multiple_of, min_keep};
  return esp_budget_uniform(&rule, units);
}

static void budget_uniform_rounds_to_the_nearest_ties_up(void **state) {
  (void)state;
  assert_int_equal(keep(0.5, 1, 1, 11), 6);
  assert_int_equal(keep(0.85, 1, 1, 10), 2);
  assert_int_equal(keep(0.9, 1, 1, 10), 1);
  assert_int_equal(keep(0.3, 1, 1, 1536), 1075);
}

static void budget_uniform_rounds_once_to_the_nearest_multiple(void **state) {
  (void)state;
  assert_int_equal(keep(0.5, 8, 1, 40), 24);
  assert_int_equal(keep(0.5, 8, 1, 38), 16);
  assert_int_equal(keep(0.44, 4, 1, 10), 4); // 5.6, not 6 and then 8
  assert_int_equal(keep(0.25, 64, 1, 11008), 8256);
}

static void budget_uniform_keeps_min_keep_rounded_up(void **state) {
  (void)state;
  assert_int_equal(keep(0.99, 1, 3, 100), 3);
  assert_int_equal(keep(0.99, 8, 3, 100), 8);
  assert_int_equal(keep(0.99, 8, 9, 100), 16);
  assert_int_equal(keep(0.999, 1, 0, 100), 1);
}

static void budget_uniform_keeps_at_most_all(void **state) {
  (void)state;
  assert_int_equal(keep(0.5, 1, 50, 10), 10);
  assert_int_equal(keep(0.1, 8, 1, 15), 15);
  assert_int_equal(keep(0, 4, 1, 9), 9);
}

static void budget_uniform_keeps_a_small_site_whole(void **state) {
  (void)state;
  assert_int_equal(keep(0.75, 8, 1, 5), 5);
  assert_int_equal(keep(0.75, 8, 1, 8), 8);
  assert_int_equal(keep(0.5, 1, 1, 1), 1);
  assert_int_equal(keep(0.5, 1, 1, 0), 0);
}

static void budget_uniform_never_rises_with_sparsity(void **state) {
  (void)state;
  for (int64_t units = 1; units < 70; units++)
    for (int64_t multiple = 1; multiple < 10; multiple++) {
      int64_t last = units;
      for (int step = 0; step < 100; step++) {
        const int64_t now = keep(step / 100.0, multiple, 2, units);
        assert_true(now <= last && now >= 1);
        assert_true(now % multiple == 0 || now == units);
        last = now;
      }
    }
}

static void keep_first_sorts_ascending(void **state) {
  (void)state;
  const int64_t order[] = {7, 2, 9, 0, 4}, want[] = {2, 7, 9};
  int64_t kept[] = {-1, -1, -1, -1};
  esp_keep_first(order, 3, kept);
  assert_memory_equal(kept, want, sizeof want);
  assert_int_equal(kept[3], -1);
}

static void keep_first_of_none_writes_nothing(void **state) {
  (void)state;
  const int64_t order[] = {1, 0};
  int64_t kept[] = {-1};
  esp_keep_first(order, 0, kept);
  assert_int_equal(kept[0], -1);
}

static const int64_t some[] = {0, 3, 5};

static void selection_checksum_repeats(void **state) {
  (void)state;
  const uint64_t once = esp_selection_checksum(0, "ffn.0", 8, some, 3);
  assert_true(once == esp_selection_checksum(0, "ffn.0", 8, some, 3));
}

static void selection_checksum_tells_order_of_sites(void **state) {
  (void)state;
  const uint64_t a = esp_selection_checksum(0, "ffn.0", 8, some, 3);
  const uint64_t b = esp_selection_checksum(0, "ffn.1", 8, some, 2);
  assert_true(esp_selection_checksum(a, "ffn.1", 8, some, 2) !=
              esp_selection_checksum(b, "ffn.0", 8, some, 3));
}

static void selection_checksum_tells_names_sizes_and_indices(void **state) {
  (void)state;
  const int64_t other[] = {0, 3, 6};
  const uint64_t base = esp_selection_checksum(1, "ffn.0", 8, some, 3);
  assert_true(base != esp_selection_checksum(1, "ffn.1", 8, some, 3));
  assert_true(base != esp_selection_checksum(1, "ffn.0", 9, some, 3));
  assert_true(base != esp_selection_checksum(1, "ffn.0", 8, some, 2));
  assert_true(base != esp_selection_checksum(1, "ffn.0", 8, other, 3));
  assert_true(base != esp_selection_checksum(2, "ffn.0", 8, some, 3));
}

ESP_TEST_MAIN(cmocka_unit_test(budget_uniform_rounds_to_the_nearest_ties_up),
              cmocka_unit_test(budget_uniform_rounds_once_to_the_nearest_multiple),
              cmocka_unit_test(budget_uniform_keeps_min_keep_rounded_up),
              cmocka_unit_test(budget_uniform_keeps_at_most_all),
              cmocka_unit_test(budget_uniform_keeps_a_small_site_whole),
              cmocka_unit_test(budget_uniform_never_rises_with_sparsity),
              cmocka_unit_test(keep_first_sorts_ascending),
              cmocka_unit_test(keep_first_of_none_writes_nothing),
              cmocka_unit_test(selection_checksum_repeats),
              cmocka_unit_test(selection_checksum_tells_order_of_sites),
              cmocka_unit_test(selection_checksum_tells_names_sizes_and_indices))
