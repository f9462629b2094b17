#include "unit.h"

#include "espalier/core/json.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static void check_text(const char *bytes, const char *stored) {
  json_t *value = esp_json_text(bytes);
  char *back = esp_json_bytes(value);
  assert_string_equal(json_string_value(value), stored);
  assert_string_equal(back, bytes);
  esp_free(&back);
  json_decref(value);
}

static void esp_json_text_stores_utf8_as_it_is(void **state) {
  (void)state;
  check_text("", "");
  check_text("plain/path.h5", "plain/path.h5");
  check_text("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x8C\xB3",
             "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x8C\xB3");
}

static void esp_json_text_escapes_other_bytes(void **state) {
  (void)state;
  check_text("caf\xE9", "caf\xEF\xBF\xBD"
                        "e9");
  check_text("\xC3", "\xEF\xBF\xBD"
                     "c3"); // cut short
  check_text("\xC0\xAF", "\xEF\xBF\xBD"
                         "c0\xEF\xBF\xBD"
                         "af"); // not the shortest form
  check_text("\xED\xA0\x80", "\xEF\xBF\xBD"
                             "ed\xEF\xBF\xBD"
                             "a0\xEF\xBF\xBD"
                             "80"); // a surrogate
  check_text("\xF4\x90\x80\x80",
             "\xEF\xBF\xBD"
             "f4\xEF\xBF\xBD"
             "90\xEF\xBF\xBD"
             "80\xEF\xBF\xBD"
             "80"); // above U+10FFFF
}

static void esp_json_text_tells_the_replacement_character_from_an_escape(void **state) {
  (void)state;
  check_text("\xEF\xBF\xBD"
             "e9",
             "\xEF\xBF\xBD"
             "ef\xEF\xBF\xBD"
             "bf\xEF\xBF\xBD"
             "bd"
             "e9");
}

static void esp_json_text_gives_back_every_pair_of_bytes(void **state) {
  (void)state;
  for (int a = 1; a < 256; a++)
    for (int b = 1; b < 256; b++) {
      const char bytes[] = {(char)a, (char)b, 'x', 0};
      json_t *value = esp_json_text(bytes);
      char *back = esp_json_bytes(value);
      assert_string_equal(back, bytes);
      esp_free(&back);
      json_decref(value);
    }
}

static void esp_json_text_of_nothing_is_null(void **state) {
  (void)state;
  assert_true(json_is_null(esp_json_text(NULL)));
  assert_null(esp_json_bytes(json_null()));
}

static void esp_json_real_of_no_number_is_null(void **state) {
  (void)state;
  assert_true(json_is_null(esp_json_real(INFINITY)));
  assert_true(json_is_null(esp_json_real(NAN)));
  json_t *value = esp_json_pack("[o]", esp_json_real(0.5));
  char *text = esp_json_dump(value, JSON_COMPACT);
  assert_string_equal(text, "[0.5]");
  esp_free(&text);
  json_decref(value);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_json_text_stores_utf8_as_it_is),
              cmocka_unit_test(esp_json_text_escapes_other_bytes),
              cmocka_unit_test(esp_json_text_tells_the_replacement_character_from_an_escape),
              cmocka_unit_test(esp_json_text_gives_back_every_pair_of_bytes),
              cmocka_unit_test(esp_json_text_of_nothing_is_null),
              cmocka_unit_test(esp_json_real_of_no_number_is_null))
