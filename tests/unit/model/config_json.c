#include "unit.h"

#include "config_json.h"

#include "espalier/model/config.h"

#include <string.h>

static json_t *parse(const char *text) {
  json_t *config = NULL;
  if (config_json_parse(text, &config) != ESP_OK) fail_msg("%s", esp_failure_text());
  return config;
}

/* Reads and writes again. */
static void assert_dump(const char *text, const char *expected) {
  json_t *config = parse(text);
  char *found = config_json_dump(config, JSON_COMPACT | JSON_SORT_KEYS);
  assert_string_equal(found, expected);
  esp_free(&found);
  json_decref(config);
}

static void config_json_keeps_numbers_that_jansson_lacks(void **state) {
  (void)state;
  static const char *const same[] = {
      "{\"a\":NaN}",
      "{\"a\":[0.0,Infinity,-Infinity]}",
      "{\"a\":1000000000000000019884624838656}",
      "{\"a\":-9223372036854775809,\"b\":9223372036854775807}",
      "{\"a\":1e400,\"b\":{\"c\":-1E+400}}",
  };
  for (unsigned i = 0; i < ESP_COUNT(same); i++) assert_dump(same[i], same[i]);
}

static void config_json_leaves_text_alone(void **state) {
  (void)state;
  static const char *const same[] = {
      "{\"NaN\":\"NaN\"}",
      "{\"a\":\"\\\"Infinity\\\\\",\"b\":\"1e999\"}",
      "{\"a\":\"\\\"\xEF\xBF\xBFNaN\"}",
      "{\"a\":\"\xEF\xBF\xBF no number\",\"b\":\"\xEF\xBF\xBF\"}",
      "{\"a\":-0.5,\"b\":12,\"c\":null,\"d\":true}",
  };
  for (unsigned i = 0; i < ESP_COUNT(same); i++) assert_dump(same[i], same[i]);
}

static void config_json_reads_what_python_reads(void **state) {
  (void)state;
  assert_dump("{\"a\": 1, \"a\": 2}", "{\"a\":2}");
  assert_dump("{\"a\": \"\\ud83d\", \"b\": \"\\uDE00\\ud83d\\ude00\"}",
              "{\"a\":\"\xEF\xBF\xBD\",\"b\":\"\xEF\xBF\xBD\xF0\x9F\x98\x80\"}");
  assert_dump("{\"a\": \"x\\u0000y\"}", "{\"a\":\"x\\u0000y\"}");
}

static void config_json_refuses_what_python_refuses(void **state) {
  (void)state;
  static const char *const cases[] = {"",
                                      "[]",
                                      "1",
                                      "NaN",
                                      "{",
                                      "{\"a\"",
                                      "{\"a\": \"",
                                      "{\"a\": \"\\",
                                      "{\"a\": 01}",
                                      "{\"a\": nan}",
                                      "{\"a\": +1}",
                                      "{\"a\": .5}",
                                      "{\"a\": -}",
                                      "{\"a\": 1.}",
                                      "{\"a\": Infinityy}",
                                      "{NaN: 1}",
                                      "{\"a\": '1'}",
                                      "{\"a\": 1,}",
                                      "{\"a\": 9223372036854775808a}",
                                      "{\"a\": \"\\ud83\"}"};
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    json_t *config = NULL;
    assert_failure(config_json_parse(cases[i], &config), ESP_FORMAT, "a JSON object");
    assert_null(config);
  }
}

static void config_json_parse_names_the_line(void **state) {
  (void)state;
  json_t *config = NULL;
  assert_failure(config_json_parse("{\"a\": NaN,\n\n \"b\" 1}", &config), ESP_FORMAT, "line 3");
}

static void esp_config_get_real_takes_any_finite_number(void **state) {
  (void)state;
  json_t *config = parse("{\"large\": 1000000000000000019884624838656, \"none\": NaN,"
                         " \"text\": \"1\", \"huge\": 1e999}");
  double value = 0.0;
  assert_int_equal(esp_config_get_real(config, "large", &value), ESP_OK);
  assert_true(value > 0.99e30 && value < 1.01e30);
  assert_failure(esp_config_get_real(config, "none", &value), ESP_FORMAT,
                 "a finite number for 'none', found NaN");
  assert_failure(esp_config_get_real(config, "huge", &value), ESP_FORMAT, "found 1e999");
  assert_failure(esp_config_get_real(config, "text", &value), ESP_FORMAT, "a number for 'text'");
  json_decref(config);
}

static void esp_config_get_refuses_numbers_of_another_kind(void **state) {
  (void)state;
  int64_t size = 0;
  const char *text = NULL;
  json_t *config = parse("{\"a\": 9223372036854775808}");
  assert_failure(esp_config_get_int(config, "a", 1, &size), ESP_FORMAT,
                 "found 9223372036854775808");
  assert_failure(esp_config_get_text(config, "a", &text), ESP_FORMAT, "a text for 'a'");
  json_decref(config);
}

ESP_TEST_MAIN(cmocka_unit_test(config_json_keeps_numbers_that_jansson_lacks),
              cmocka_unit_test(config_json_leaves_text_alone),
              cmocka_unit_test(config_json_reads_what_python_reads),
              cmocka_unit_test(config_json_refuses_what_python_refuses),
              cmocka_unit_test(config_json_parse_names_the_line),
              cmocka_unit_test(esp_config_get_real_takes_any_finite_number),
              cmocka_unit_test(esp_config_get_refuses_numbers_of_another_kind))
