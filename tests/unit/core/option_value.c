#include "unit.h"

#include "espalier/core/options.h"

#include <math.h>
#include <string.h>

typedef struct settings {
  bool force;
  int64_t limit, bins, seed, epochs;
  double ridge, sparsity;
  char *output, *criterion;
} settings;

#define AT(member) .offset = offsetof(settings, member), .commands = 1

static const esp_option rows[] = {
    {"a.force", ESP_OPTION_FLAG, AT(force)},
    {"a.limit", ESP_OPTION_INT, AT(limit)},
    {"a.bins", ESP_OPTION_INT, AT(bins), .initial = "4", .low = 2, .high = 16},
    {"a.seed", ESP_OPTION_INT, AT(seed), .low = 0, .high = INFINITY},
    {"a.epochs", ESP_OPTION_INT, AT(epochs), .initial = "-1", .low = 1, .high = 9,
     .or_initial = true},
    {"a.ridge", ESP_OPTION_REAL, AT(ridge)},
    {"a.sparsity", ESP_OPTION_REAL, AT(sparsity), .low = 0, .high = 1, .below_high = true},
    {"a.output", ESP_OPTION_TEXT, AT(output)},
    {"a.criterion", ESP_OPTION_TEXT, AT(criterion), .initial = "set-mi",
     .choices = "random|magnitude|set-mi"},
};
static const esp_option_table table = {rows, (int)ESP_COUNT(rows), NULL};

static int set_up(void **state) {
  *state = ESP_NEW(settings, 1);
  esp_options_init(&table, *state);
  return 0;
}

static int tear_down(void **state) {
  settings *s = *state;
  esp_options_clear(&table, s);
  esp_free(&s);
  return 0;
}

static void esp_options_set_reads_whole_numbers_exactly(void **state) {
  settings *s = *state;
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {{"0", 0},
               {"-7", -7},
               {"+7", 7},
               {"1e6", 1000000},
               {"64k", 64000},
               {"2M", 2000000},
               {"3G", 3000000000},
               {"1.5k", 1500},
               {"1.5e3", 1500},
               {"1.0", 1},
               {"20e-1", 2},
               {"007", 7},
               {"0e99", 0},
               {"1e18", INT64_C(1000000000000000000)},
               {"9007199254740993", INT64_C(9007199254740993)},
               {"9223372036854775807", INT64_MAX}};
  for (size_t i = 0; i < ESP_COUNT(cases); i++) {
    assert_int_equal(esp_options_set(&table, s, "limit", cases[i].text), ESP_OK);
    assert_true(s->limit == cases[i].value);
  }
}

static void esp_options_set_refuses_what_is_no_whole_number(void **state) {
  settings *s = *state;
  static const char *const bad[] = {"1.5",
                                    "",
                                    "-",
                                    ".",
                                    "e3",
                                    "1e",
                                    "1e+",
                                    "k",
                                    "1kk",
                                    "1 ",
                                    " 1",
                                    "0x1",
                                    "1.2345k",
                                    "1e-1",
                                    "nan",
                                    "1.2.3",
                                    "9223372036854775808",
                                    "1e19",
                                    "10000000000G",
                                    "1m"};
  s->limit = 5;
  for (size_t i = 0; i < ESP_COUNT(bad); i++)
    assert_failure(esp_options_set(&table, s, "limit", bad[i]), ESP_USAGE,
                   "limit: expected a whole number");
  assert_int_equal(s->limit, 5);
}

static void esp_options_set_reads_reals(void **state) {
  settings *s = *state;
  static const struct {
    const char *text;
    double value;
  } cases[] = {{"0.25", 0.25}, {"-3", -3.0}, {"1e-5", 1e-5}, {".5", 0.5}, {"+2E3", 2000.0}};
  for (size_t i = 0; i < ESP_COUNT(cases); i++) {
    assert_int_equal(esp_options_set(&table, s, "ridge", cases[i].text), ESP_OK);
    assert_true(s->ridge == cases[i].value);
  }
}

static void esp_options_set_refuses_what_is_no_finite_number(void **state) {
  static const char *const bad[] = {"",      "nan", "inf", "-inf", "1e999",
                                    "0x1p3", " 1",  "1 ",  "1,5",  "e"};
  for (size_t i = 0; i < ESP_COUNT(bad); i++)
    assert_failure(esp_options_set(&table, *state, "ridge", bad[i]), ESP_USAGE,
                   "ridge: expected a finite number, found ");
}

static void esp_options_set_keeps_ranges(void **state) {
  settings *s = *state;
  assert_int_equal(esp_options_set(&table, s, "bins", "2"), ESP_OK);
  assert_int_equal(esp_options_set(&table, s, "bins", "16"), ESP_OK);
  assert_failure(esp_options_set(&table, s, "bins", "17"), ESP_USAGE, "from 2 to 16, found '17'");
  assert_failure(esp_options_set(&table, s, "bins", "1"), ESP_USAGE, "from 2 to 16, found '1'");
  assert_failure(esp_options_set(&table, s, "seed", "-1"), ESP_USAGE, "at least 0, found '-1'");
  assert_int_equal(s->bins, 16);
}

static void esp_options_set_takes_the_default_beside_the_range(void **state) {
  settings *s = *state;
  assert_int_equal(s->epochs, -1);
  assert_int_equal(esp_options_set(&table, s, "epochs", "9"), ESP_OK);
  assert_failure(esp_options_set(&table, s, "epochs", "0"), ESP_USAGE, "from 1 to 9, or -1, found");
  assert_int_equal(s->epochs, 9);
  assert_int_equal(esp_options_set(&table, s, "epochs", "-1"), ESP_OK);
  assert_int_equal(s->epochs, -1);
}

static void esp_options_set_keeps_below_high(void **state) {
  settings *s = *state;
  assert_int_equal(esp_options_set(&table, s, "sparsity", "0.999"), ESP_OK);
  assert_failure(esp_options_set(&table, s, "sparsity", "1"), ESP_USAGE,
                 "sparsity: expected a finite number at least 0 and below 1, found '1'");
  assert_int_equal(esp_options_set(&table, s, "sparsity", "0"), ESP_OK);
  assert_true(s->sparsity == 0.0);
}

static void esp_options_set_stores_choices_as_spelled_in_the_table(void **state) {
  settings *s = *state;
  assert_int_equal(esp_options_set(&table, s, "criterion", "random"), ESP_OK);
  assert_string_equal(s->criterion, "random");
  assert_int_equal(esp_options_set(&table, s, "criterion", "set_mi"), ESP_OK);
  assert_string_equal(s->criterion, "set-mi");
}

static void esp_options_set_names_the_choices(void **state) {
  settings *s = *state;
  assert_failure(esp_options_set(&table, s, "criterion", "magnitud"), ESP_USAGE,
                 "unknown value of criterion 'magnitud'; did you mean magnitude? "
                 "Known: random, magnitude, set-mi");
  assert_string_equal(s->criterion, "set-mi");
}

static void esp_options_set_reads_flags(void **state) {
  settings *s = *state;
  assert_int_equal(esp_options_set(&table, s, "force", "Yes"), ESP_OK);
  assert_true(s->force);
  assert_int_equal(esp_options_set(&table, s, "force", "off"), ESP_OK);
  assert_false(s->force);
  assert_failure(esp_options_set(&table, s, "force", "2"), ESP_USAGE,
                 "force: expected true or false, found '2'");
}

static void esp_options_set_refuses_empty_texts(void **state) {
  assert_failure(esp_options_set(&table, *state, "output", ""), ESP_USAGE,
                 "output: expected a text, found an empty text");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

ESP_TEST_MAIN(CASE(esp_options_set_reads_whole_numbers_exactly),
              CASE(esp_options_set_refuses_what_is_no_whole_number),
              CASE(esp_options_set_reads_reals),
              CASE(esp_options_set_refuses_what_is_no_finite_number),
              CASE(esp_options_set_keeps_ranges),
              CASE(esp_options_set_takes_the_default_beside_the_range),
              CASE(esp_options_set_keeps_below_high),
              CASE(esp_options_set_stores_choices_as_spelled_in_the_table),
              CASE(esp_options_set_names_the_choices), CASE(esp_options_set_reads_flags),
              CASE(esp_options_set_refuses_empty_texts))
