#include "unit.h"

#include "espalier/core/named.h"

#include <stdio.h>
#include <string.h>

typedef struct fruit {
  const char *name;
  int weight;
} fruit;

static const fruit apple = {"apple", 150}, fig = {"fig", 50}, plum = {"plum", 60};
static const fruit *const basket[] = {&apple, &fig, &plum, NULL};
static const fruit crate[] = {{"apple", 150}, {"fig", 50}, {NULL, 0}};
static const char *const words[] = {"train", "test", NULL};

static void esp_find_pointer_gives_the_place(void **state) {
  (void)state;
  int i = -1;
  assert_int_equal(esp_find_pointer("fruit", "plum", basket, &i), ESP_OK);
  assert_int_equal(i, 2);
  assert_int_equal(esp_find_pointer("fruit", "apple", basket, &i), ESP_OK);
  assert_int_equal(i, 0);
}

static void esp_find_row_reads_structs_and_names(void **state) {
  (void)state;
  int i = -1;
  assert_int_equal(esp_find_row("fruit", "fig", crate, sizeof *crate, &i), ESP_OK);
  assert_int_equal(i, 1);
  assert_int_equal(esp_find_row("split", "test", words, sizeof *words, &i), ESP_OK);
  assert_int_equal(i, 1);
}

static void esp_find_row_names_the_nearest_and_the_known(void **state) {
  (void)state;
  int i = 7;
  assert_failure(esp_find_row("fruit", "aple", crate, sizeof *crate, &i), ESP_USAGE,
                 "unknown fruit 'aple'; did you mean apple? Known: apple, fig");
  assert_failure(esp_find_pointer("fruit", "grape", basket, &i), ESP_USAGE,
                 "unknown fruit 'grape'; known: apple, fig, plum");
  assert_int_equal(i, 7);
}

/* No part of the search has a size of its own that a table could outgrow. */
static void esp_find_pointer_takes_tables_of_any_size(void **state) {
  (void)state;
  enum { N = 1000 };
  static char names[N][64];
  static fruit rows[N];
  const fruit *all[N + 1] = {NULL};
  for (int i = 0; i < N; i++) {
    snprintf(names[i], sizeof names[i], "a-name-that-fills-any-buffer-for-messages-%d", i);
    rows[i].name = names[i];
    all[i] = &rows[i];
  }
  int i = -1;
  assert_int_equal(esp_find_pointer("row", names[N - 1], all, &i), ESP_OK);
  assert_int_equal(i, N - 1);
  assert_failure(esp_find_pointer("row", "b", all, &i), ESP_USAGE, "none of the 1000 known");
  all[24] = NULL; // names that do not fit the text of a failure are cut
  assert_failure(esp_find_pointer("row", "b", all, &i), ESP_USAGE, "messages-10");
  assert_true(strlen(esp_failure_text()) < 1024);
}

static void esp_find_row_of_an_empty_table_is_unknown(void **state) {
  (void)state;
  int i = 7;
  assert_failure(esp_find_row("fruit", "fig", &crate[2], sizeof *crate, &i), ESP_USAGE,
                 "none of the 0 known");
}

ESP_TEST_MAIN(cmocka_unit_test(esp_find_pointer_gives_the_place),
              cmocka_unit_test(esp_find_row_reads_structs_and_names),
              cmocka_unit_test(esp_find_row_names_the_nearest_and_the_known),
              cmocka_unit_test(esp_find_pointer_takes_tables_of_any_size),
              cmocka_unit_test(esp_find_row_of_an_empty_table_is_unknown))
