#include "unit.h"

#include "espalier/core/suggest.h"

#include <string.h>

static const char *const criteria[] = {"random",         "magnitude",       "mi",
                                       "set-mi-forward", "set-mi-backward", NULL};

static void esp_fail_unknown_names_what_and_name(void **state) {
  (void)state;
  assert_failure(esp_fail_unknown("criterion", "xyz", criteria), ESP_USAGE,
                 "unknown criterion 'xyz'");
}

static void esp_fail_unknown_suggests_the_nearest(void **state) {
  (void)state;
  assert_failure(esp_fail_unknown("criterion", "magnitud3", criteria), ESP_USAGE,
                 "; did you mean magnitude? Known: random, magnitude, mi, ");
}

/* A swap of neighbours is one slip: "ranodm" is nearer to random than "rindom" would be to two. */
static void esp_fail_unknown_orders_by_distance(void **state) {
  (void)state;
  const char *const names[] = {"rando", "xanodm", "random", NULL};
  assert_failure(esp_fail_unknown("name", "ranodm", names), ESP_USAGE,
                 "did you mean xanodm, random, rando?");
}

static void esp_fail_unknown_puts_prefixes_first(void **state) {
  (void)state;
  const char *const names[] = {"seb", "set-mi-forward", "sec", NULL};
  assert_failure(esp_fail_unknown("name", "set", names), ESP_USAGE,
                 "did you mean set-mi-forward, seb, sec?");
}

static void esp_fail_unknown_takes_a_longer_name_for_its_prefix(void **state) {
  (void)state;
  const char *const names[] = {"sparsity", "seed", NULL};
  assert_failure(esp_fail_unknown("option", "sparsity-of-all-the-layers", names), ESP_USAGE,
                 "did you mean sparsity? Known");
}

static void esp_fail_unknown_overlooks_case_and_underscores(void **state) {
  (void)state;
  assert_failure(esp_fail_unknown("criterion", "SET_MI_FORWARD", criteria), ESP_USAGE,
                 "did you mean set-mi-forward");
}

static void esp_fail_unknown_suggests_nothing_far(void **state) {
  (void)state;
  assert_failure(esp_fail_unknown("criterion", "qqqqqqqq", criteria), ESP_USAGE,
                 "unknown criterion 'qqqqqqqq'; known: random, ");
  assert_failure(esp_fail_unknown("criterion", "", criteria), ESP_USAGE, "''; known: random, ");
}

static void esp_fail_unknown_suggests_three_at_most(void **state) {
  (void)state;
  const char *const names[] = {"layer1", "layer2", "layer3", "layer4", NULL};
  assert_failure(esp_fail_unknown("name", "layer", names), ESP_USAGE,
                 "did you mean layer1, layer2, layer3? Known");
}

static void esp_fail_unknown_does_not_list_more_than_24(void **state) {
  (void)state;
  const char *names[26] = {NULL};
  for (int i = 0; i < 24; i++) names[i] = "tensor";
  assert_failure(esp_fail_unknown("name", "zzzz", names), ESP_USAGE, "known: tensor, tensor");
  names[24] = "weight";
  assert_failure(esp_fail_unknown("name", "zzzz", names), ESP_USAGE,
                 "none of the 25 known is near");
  assert_failure(esp_fail_unknown("name", "wieght", names), ESP_USAGE, "did you mean weight?");
  assert_null(strstr(esp_failure_text(), "tensor"));
}

static void esp_fail_unknown_takes_no_names(void **state) {
  (void)state;
  const char *const none[] = {NULL};
  assert_failure(esp_fail_unknown("name", "a", none), ESP_USAGE, "unknown name 'a'");
}

static void esp_fail_unknown_bounds_long_names(void **state) {
  (void)state;
  char name[5000];
  memset(name, 'm', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  assert_failure(esp_fail_unknown("criterion", name, criteria), ESP_USAGE, "mmm'; known: random");
}

ESP_TEST_MAIN(cmocka_unit_test(esp_fail_unknown_names_what_and_name),
              cmocka_unit_test(esp_fail_unknown_suggests_the_nearest),
              cmocka_unit_test(esp_fail_unknown_orders_by_distance),
              cmocka_unit_test(esp_fail_unknown_puts_prefixes_first),
              cmocka_unit_test(esp_fail_unknown_takes_a_longer_name_for_its_prefix),
              cmocka_unit_test(esp_fail_unknown_overlooks_case_and_underscores),
              cmocka_unit_test(esp_fail_unknown_suggests_nothing_far),
              cmocka_unit_test(esp_fail_unknown_suggests_three_at_most),
              cmocka_unit_test(esp_fail_unknown_does_not_list_more_than_24),
              cmocka_unit_test(esp_fail_unknown_takes_no_names),
              cmocka_unit_test(esp_fail_unknown_bounds_long_names))
