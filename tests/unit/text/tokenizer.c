/* Files that are wrong: one line that names what, and nothing else. Their ids are tested by
 * tests/golden/text. */
#include "unit.h"

#include "espalier/core/memory.h"
#include "espalier/text/tokenizer.h"

#include <string.h>
#include <time.h>

#define BPE(more) "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}," more "}"
#define MERGES BPE("\"merges\":[\"a b\"]")

static esp_status open_text(const char *json, esp_tokenizer **tokenizer) {
  return esp_tokenizer_new(json, (int64_t)strlen(json), "tokenizer.json", tokenizer);
}

static void check_refused(const char *json, const char *text) {
  esp_tokenizer *tokenizer;
  assert_failure(open_text(json, &tokenizer), ESP_FORMAT, text);
  assert_null(tokenizer);
}

static void esp_tokenizer_new_names_what_is_not_known(void **state) {
  (void)state;
  check_refused("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", "unknown model 'WordLevel'");
  check_refused("{\"normalizer\":{\"type\":\"Mystery\"}," MERGES "}",
                "unknown normalizer 'Mystery'");
  check_refused("{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}," MERGES "}",
                "unknown pre-tokenizer 'UnicodeScripts'");
  check_refused("{\"post_processor\":{\"type\":\"X\"}," MERGES "}", "unknown post-processor 'X'");
  check_refused("{\"decoder\":{\"type\":\"CTC\"}," MERGES "}", "unknown decoder 'CTC'");
  check_refused("{" BPE("\"merges\":[],\"dropout\":0.1") "}", "dropout");
}

static void esp_tokenizer_new_refuses_what_is_no_tokenizer(void **state) {
  (void)state;
  check_refused("", "JSON is expected");
  check_refused("[]", "an object is expected");
  check_refused("{}", "model: an object is expected");
  check_refused("{\"model\":3}", "an object is expected");
  check_refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\xFF\":0},\"merges\":[]}}",
                "JSON is expected");
}

static void esp_tokenizer_new_refuses_ids_that_do_not_fit(void **state) {
  (void)state;
  check_refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
                "an id for each token");
  check_refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000000},\"merges\":[]}}",
                "an id from 0 to");
  check_refused("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
                "an id from 0 to");
  check_refused("{\"added_tokens\":[{\"id\":9,\"content\":\"<s>\"}]," MERGES "}",
                "id 3 is expected, the next one, found 9");
  check_refused("{\"added_tokens\":[{\"id\":1,\"content\":\"a\"}]," MERGES "}",
                "id 0 is expected, as in the vocabulary");
  check_refused("{\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"a\",7],\"cls\":[\"a\","
                "0]}," MERGES "}",
                "ids from 0 to 2");
  check_refused("{\"model\":{\"type\":\"Unigram\",\"unk_id\":5,\"vocab\":[[\"a\",0]]}}",
                "unk_id: a number from 0 to 0");
}

static void esp_tokenizer_new_refuses_merges_without_tokens(void **state) {
  (void)state;
  check_refused("{" BPE("\"merges\":[\"a c\"]") "}", "no token 'c'");
  check_refused("{" BPE("\"merges\":[\"b a\"]") "}", "no token 'ba'");
  check_refused("{" BPE("\"merges\":[\"ab\"]") "}", "something else");
  check_refused("{" BPE("\"merges\":[[\"a\",1]]") "}", "something else");
}

static void check_pattern(const char *pattern, const char *text) {
  char *json = esp_format("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},"
                          "\"behavior\":\"Isolated\",\"invert\":false}," MERGES "}",
                          pattern);
  check_refused(json, text);
  esp_free(&json);
}

static void esp_tokenizer_new_refuses_patterns_that_pcre_reads_otherwise(void **state) {
  (void)state;
  check_pattern("(a", "a regular expression, found");
  check_pattern("\\\\h+", "this escape");
  check_pattern("a{2}+", "a sign behind a brace");
  check_pattern("[a-z&&[^b]]", "an intersection of classes");
  check_pattern("[a[bc]]", "brackets in brackets");
  check_pattern("(?m:a)", "this kind of group");
  check_pattern("\\\\p{Nonsense}", "a regular expression, found");
}

static void esp_tokenizer_new_refuses_damaged_maps(void **state) {
  (void)state;
  static const char *const maps[] = {"AAA", "AAAA", "/////w==", "!!!!"};
  static const char *const why[] = {"no base64", "its length is missing", "shorter than it says",
                                    "no base64"};
  for (int i = 0; i < 4; i++) {
    char *json = esp_format("{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\""
                            "%s\"}," MERGES "}",
                            maps[i]);
    check_refused(json, why[i]);
    esp_free(&json);
  }
}

static void esp_tokenizer_new_refuses_deep_nesting(void **state) {
  (void)state;
  static const char open[] = "{\"type\":\"Sequence\",\"normalizers\":[";
  char json[4096] = "{" MERGES ",\"normalizer\":";
  for (int i = 0; i < 40; i++) strcat(json, open);
  for (int i = 0; i < 40; i++) strcat(json, "]}");
  strcat(json, "}");
  check_refused(json, "nested deeper");
}

/* A pattern whose time grows exponentially is stopped. */
static void esp_tokenizer_encode_stops_catastrophic_patterns(void **state) {
  (void)state;
  esp_tokenizer *tokenizer;
  esp_token_ids ids = {0};
  const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
  const clock_t begin = clock();
  assert_int_equal(
      open_text("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a|a?)+$\"},"
                "\"behavior\":\"Isolated\"}," MERGES "}",
                &tokenizer),
      ESP_OK);
  assert_failure(esp_tokenizer_encode(tokenizer, text, (int64_t)strlen(text), false, &ids),
                 ESP_FORMAT, "a pattern takes too long");
  assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 20.0);
  esp_token_ids_clear(&ids);
  esp_tokenizer_free(&tokenizer);
}

/* Rules that multiply what the ones before have made. */
static void esp_tokenizer_encode_stops_growth(void **state) {
  (void)state;
  static const char rule[] =
      "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaa\"}";
  esp_tokenizer *tokenizer;
  esp_token_ids ids = {0};
  char json[4096] = "{" MERGES ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[";
  for (int i = 0; i < 12; i++) strcat(strcat(json, i > 0 ? "," : ""), rule);
  strcat(json, "]}}");
  assert_int_equal(open_text(json, &tokenizer), ESP_OK);
  assert_failure(esp_tokenizer_encode(tokenizer, "a", 1, false, &ids), ESP_FORMAT,
                 "more than 16 times as long");
  esp_token_ids_clear(&ids);
  esp_tokenizer_free(&tokenizer);
}

static void esp_tokenizer_encode_names_characters_without_token(void **state) {
  (void)state;
  esp_tokenizer *tokenizer;
  esp_token_ids ids = {0};
  assert_int_equal(
      open_text("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1.0]]}}", &tokenizer), ESP_OK);
  assert_failure(esp_tokenizer_encode(tokenizer, "ab", 2, false, &ids), ESP_FORMAT,
                 "the text has 'b', for which there is no token");
  esp_token_ids_clear(&ids);
  esp_tokenizer_free(&tokenizer);
}

/* A word that was seen before, and a long one that is cut, have the same ids. */
static void esp_tokenizer_encode_is_the_same_again(void **state) {
  (void)state;
  esp_tokenizer *tokenizer;
  esp_token_ids ids = {0}, again = {0};
  char text[2001] = "";
  assert_int_equal(open_text("{" MERGES "}", &tokenizer), ESP_OK);
  for (int i = 0; i < 2000; i++) text[i] = i % 7 < 4 ? 'a' : 'b';
  assert_int_equal(esp_tokenizer_encode(tokenizer, text, 2000, false, &ids), ESP_OK);
  assert_int_equal(esp_tokenizer_encode(tokenizer, text, 2000, false, &again), ESP_OK);
  assert_int_equal(ids.count, 2000 - 286); // "ab" once in seven
  assert_int_equal(ids.count, again.count);
  assert_memory_equal(ids.id, again.id, (size_t)ids.count * sizeof *ids.id);
  esp_token_ids_clear(&ids);
  esp_token_ids_clear(&again);
  esp_tokenizer_free(&tokenizer);
}

static void esp_text_measure_counts_words_and_bytes(void **state) {
  (void)state;
  const esp_text_size size = esp_text_measure(" a bc\n\xC2\xA0 d\xFF ", 12);
  assert_int_equal(size.words, 3);
  assert_int_equal(size.bytes, 14); // the bad byte became three
}

ESP_TEST_MAIN(cmocka_unit_test(esp_tokenizer_new_names_what_is_not_known),
              cmocka_unit_test(esp_tokenizer_new_refuses_what_is_no_tokenizer),
              cmocka_unit_test(esp_tokenizer_new_refuses_ids_that_do_not_fit),
              cmocka_unit_test(esp_tokenizer_new_refuses_merges_without_tokens),
              cmocka_unit_test(esp_tokenizer_new_refuses_patterns_that_pcre_reads_otherwise),
              cmocka_unit_test(esp_tokenizer_new_refuses_damaged_maps),
              cmocka_unit_test(esp_tokenizer_new_refuses_deep_nesting),
              cmocka_unit_test(esp_tokenizer_encode_stops_catastrophic_patterns),
              cmocka_unit_test(esp_tokenizer_encode_stops_growth),
              cmocka_unit_test(esp_tokenizer_encode_names_characters_without_token),
              cmocka_unit_test(esp_tokenizer_encode_is_the_same_again),
              cmocka_unit_test(esp_text_measure_counts_words_and_bytes))
