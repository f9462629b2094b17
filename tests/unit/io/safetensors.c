#include "unit.h"

#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = ESP_SAFETENSORS_HEAD_BYTES };

/* Parse a header of exactly its own size, so that reading past it is found. */
static esp_status parse(const char *json, size_t length, int64_t data_bytes,
                        esp_tensor_list *list) {
  const esp_safetensors_file file = {"f.safetensors", 3, HEAD + (int64_t)length + data_bytes,
                                     (int64_t)length};
  char *exact = malloc(length + (length == 0));
  memcpy(exact, json, length);
  const esp_status status = esp_safetensors_parse(&file, exact, list);
  free(exact);
  return status;
}

static const char good[] =
    "{\"b.weight\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
    "\"__metadata__\":{\"format\":\"pt\"},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"scale\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[20,22]},"
    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,4],\"data_offsets\":[8,8]}}   ";
enum { GOOD_DATA = 22, GOOD_COUNT = 4 };

static const esp_tensor *find(const esp_tensor_list *list, const char *name) {
  for (int i = 0; i < list->count; i++)
    if (strcmp(list->tensors[i].name, name) == 0) return &list->tensors[i];
  fail_msg("no tensor %s", name);
  return NULL;
}

static void esp_safetensors_parse_reads_every_field(void **state) {
  (void)state;
  esp_tensor_list list = {0};
  const int64_t data = HEAD + (int64_t)strlen(good);
  assert_int_equal(parse(good, strlen(good), GOOD_DATA, &list), ESP_OK);
  assert_int_equal(list.count, GOOD_COUNT);
  const esp_tensor *b = find(&list, "b.weight");
  assert_int_equal(b->type, ESP_BF16);
  assert_int_equal(b->rank, 2);
  assert_int_equal(b->shape[0], 2);
  assert_int_equal(b->shape[1], 3);
  assert_int_equal(b->offset, data + 8);
  assert_int_equal(b->file, 3);
  assert_int_equal(find(&list, "a")->offset, data);
  esp_tensor_list_clear(&list);
}

static void esp_safetensors_parse_takes_scalars_and_empty_tensors(void **state) {
  (void)state;
  esp_tensor_list list = {0};
  assert_int_equal(parse(good, strlen(good), GOOD_DATA, &list), ESP_OK);
  assert_int_equal(find(&list, "scale")->rank, 0);
  assert_int_equal(esp_tensor_count_elements(find(&list, "scale")), 1);
  assert_int_equal(esp_tensor_count_elements(find(&list, "none")), 0);
  esp_tensor_list_clear(&list);
  assert_int_equal(parse("{}", 2, 0, &list), ESP_OK);
  assert_int_equal(list.count, 0);
}

static void esp_safetensors_parse_adds_to_the_tensors_of_other_files(void **state) {
  (void)state;
  esp_tensor_list list = {0};
  assert_int_equal(parse(good, strlen(good), GOOD_DATA, &list), ESP_OK);
  assert_int_equal(parse(good, strlen(good), GOOD_DATA, &list), ESP_OK);
  assert_int_equal(list.count, 2 * GOOD_COUNT);
  assert_string_equal(list.tensors[0].name, list.tensors[GOOD_COUNT].name);
  esp_tensor_list_clear(&list);
}

static void esp_safetensors_parse_knows_the_size_of_every_type(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int bytes;
  } types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"U64", 8},
               {"I32", 4}, {"U32", 4}, {"U8", 1},   {"I8", 1},  {"BOOL", 1}};
  for (size_t i = 0; i < ESP_COUNT(types); i++) {
    char json[128];
    esp_tensor_list list = {0};
    const int bytes = 5 * types[i].bytes;
    snprintf(json, sizeof json, "{\"x\":{\"dtype\":\"%s\",\"shape\":[5],\"data_offsets\":[0,%d]}}",
             types[i].name, bytes);
    assert_int_equal(parse(json, strlen(json), bytes, &list), ESP_OK);
    esp_tensor_list_clear(&list);
  }
}

static void esp_safetensors_parse_takes_other_types_as_bytes(void **state) {
  (void)state;
  static const char json[] =
      "{\"x\":{\"dtype\":\"F4\",\"shape\":[2,1,1,1,3],\"data_offsets\":[0,3]}}";
  esp_tensor_list list = {0};
  assert_int_equal(parse(json, strlen(json), 3, &list), ESP_OK);
  assert_string_equal(list.tensors[0].foreign_type, "F4");
  assert_true(list.tensors[0].type == ESP_U8 && list.tensors[0].shape[0] == 3);
  esp_tensor_list_clear(&list);
}

/* A header with one tensor x, members given, before bytes of data. */
typedef struct bad_tensor {
  const char *members, *part;
  int64_t data_bytes;
} bad_tensor;

static void refuse(const char *json, int64_t data_bytes, const char *part) {
  esp_tensor_list list = {0};
  assert_failure(parse(json, strlen(json), data_bytes, &list), ESP_FORMAT, part);
  assert_non_null(strstr(esp_failure_text(), "f.safetensors"));
  esp_tensor_list_clear(&list);
}

static void refuse_tensors(const bad_tensor *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char json[256];
    snprintf(json, sizeof json, "{\"x\":{%s}}", cases[i].members);
    refuse(json, cases[i].data_bytes, cases[i].part);
  }
}

static void esp_safetensors_parse_refuses_bad_types_and_shapes(void **state) {
  (void)state;
  static const bad_tensor cases[] = {
      {"\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,5]", "bytes 0 to 5", 4},
      {"\"dtype\":\"\",\"shape\":[4],\"data_offsets\":[0,4]", "found none", 4},
      {"\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,4]", "found none", 4},
      {"\"shape\":[4],\"data_offsets\":[0,4]", "dtype", 4},
      {"\"dtype\":\"F32\",\"data_offsets\":[0,4]", "shape", 4},
      {"\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]", "shape", 4},
      {"\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]", "at most 4", 4},
      {"\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]", "dimension 0", 4},
      {"\"dtype\":\"F32\",\"shape\":[1,1.0],\"data_offsets\":[0,4]", "dimension 1", 4},
      {"\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]", "too large", 0},
      {"\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]", "too large",
       0}};
  refuse_tensors(cases, ESP_COUNT(cases));
}

static void esp_safetensors_parse_refuses_bad_offsets(void **state) {
  (void)state;
  static const bad_tensor cases[] = {
      {"\"dtype\":\"F32\",\"shape\":[1]", "data_offsets", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]", "two integers", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]", "two integers", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]", "two integers", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]", "bytes -4 to 0", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]", "bytes 4 to 0", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]", "holds 3 of data", 3},
      {"\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]", "give 8 bytes", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]", "holds 4", 4},
      {"\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]", "JSON", 4}};
  refuse_tensors(cases, ESP_COUNT(cases));
}

static void esp_safetensors_parse_refuses_overlaps_holes_and_trailing_bytes(void **state) {
  (void)state;
#define X "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
  refuse("{" X ",\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", 6, "overlaps");
  refuse("{" X ",\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "overlaps");
  refuse("{" X ",\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[5,9]}}", 9, "hole");
  refuse("{\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}", 5, "hole");
  refuse("{" X "}", 5, "1 bytes behind its last");
  refuse("{}", 5, "5 bytes behind its last");
  refuse("{" X "," X "}", 4, "duplicate");
#undef X
}

static void esp_safetensors_parse_refuses_what_is_no_header(void **state) {
  (void)state;
  refuse("", 0, "begins with '{'");
  refuse(" {}", 0, "begins with '{'");
  refuse("[]", 0, "begins with '{'");
  refuse("{", 0, "JSON");
  refuse("{}x", 0, "JSON");
  refuse("{\"\xff\":{}}", 0, "JSON");
  refuse("{\"a\\u0000b\":{}}", 0, "JSON");
  refuse("{\"x\":3}", 0, "not described");
  refuse("{\"__metadata__\":3}", 0, "__metadata__");
  refuse("{\"__metadata__\":{\"format\":3}}", 0, "__metadata__");
}

static esp_status parse_head(uint64_t length, int64_t file_bytes, esp_safetensors_file *file) {
  unsigned char head[HEAD];
  *file = (esp_safetensors_file){.path = "f.safetensors", .bytes = file_bytes};
  for (int i = 0; i < HEAD; i++) head[i] = (unsigned char)(length >> 8 * i);
  return esp_safetensors_parse_head(file, head);
}

static void esp_safetensors_parse_head_checks_the_length(void **state) {
  (void)state;
  esp_safetensors_file file;
  assert_int_equal(parse_head(0x0201, 8 + 0x0201, &file), ESP_OK);
  assert_int_equal(file.header_bytes, 0x0201);
  assert_failure(parse_head(0, 7, &file), ESP_FORMAT, "8 bytes at least, it has 7");
  assert_failure(parse_head(10, 17, &file), ESP_FORMAT, "header has 10 bytes, the whole file 17");
  assert_int_equal(parse_head(100000000, 200000000, &file), ESP_OK);
  assert_failure(parse_head(100000001, 200000000, &file), ESP_FORMAT, "at most 100000000");
  assert_failure(parse_head(UINT64_MAX, 200000000, &file), ESP_FORMAT, "at most 100000000");
  assert_failure(parse_head(UINT64_MAX - 7, INT64_MAX, &file), ESP_FORMAT, "at most 100000000");
}

/* Change a text at a random place: a byte replaced, left out or doubled. Characters of JSON come
 * often, since others are refused at once. */
static size_t mutate(char *text, size_t length, uint64_t seed, uint64_t *counter) {
  static const char likely[] = "{}[]\",:0123456789-.eFBI6 \\";
  const uint64_t kind = esp_rng_below(seed, 1, (*counter)++, 4);
  const size_t at = (size_t)esp_rng_below(seed, 1, (*counter)++, length);
  const uint64_t pick = esp_rng_below(seed, 1, (*counter)++, 256 + 8 * strlen(likely));
  if (kind == 0) {
    memmove(text + at, text + at + 1, length - at - 1);
    return length - 1;
  }
  if (kind == 1) {
    memmove(text + at + 1, text + at, length - at);
    return length + 1;
  }
  text[at] = pick < 256 ? (char)pick : likely[(pick - 256) / 8];
  return length;
}

/* What a header that was accepted promises. */
static void check_tensors(const esp_tensor_list *list, int64_t begin, int64_t end) {
  int64_t bytes = 0;
  for (int i = 0; i < list->count; i++) {
    const esp_tensor *tensor = &list->tensors[i];
    const int64_t own = esp_tensor_count_elements(tensor) * (int64_t)esp_dtype_bytes(tensor->type);
    assert_true(tensor->offset >= begin && own >= 0 && tensor->offset <= end - own);
    bytes += own;
  }
  assert_int_equal(bytes, end - begin);
}

static void esp_safetensors_parse_survives_mutated_headers(void **state) {
  (void)state;
  enum { CASES = 4000, MOST = 4 };
  int accepted = 0;
  for (uint64_t seed = 0; seed < CASES; seed++) {
    char text[sizeof good + MOST];
    uint64_t counter = 0;
    size_t length = strlen(good);
    esp_tensor_list list = {0};
    memcpy(text, good, length);
    for (uint64_t n = 1 + seed % MOST; n > 0; n--) length = mutate(text, length, seed, &counter);
    const esp_status status = parse(text, length, GOOD_DATA, &list);
    const int64_t data = HEAD + (int64_t)length;
    if (status == ESP_OK) check_tensors(&list, data, data + GOOD_DATA);
    assert_true(status == ESP_OK || status == ESP_FORMAT);
    accepted += status == ESP_OK;
    esp_tensor_list_clear(&list);
  }
  assert_in_range(accepted, CASES / 100, CASES / 2); // names and metadata may change
}

static const char map_text[] = "{\"metadata\":{\"total_size\":3},\"weight_map\":{\"a\":"
                               "\"model-00001-of-00002.safetensors\",\"b\":\"x\"}}";

static esp_status parse_map(const char *text, size_t length, json_t **map) {
  char *exact = malloc(length + (length == 0));
  memcpy(exact, text, length);
  const esp_status status = esp_weight_map_parse("i.json", exact, (int64_t)length, map);
  free(exact);
  return status;
}

static void esp_weight_map_parse_gives_the_file_of_each_tensor(void **state) {
  (void)state;
  json_t *map;
  assert_int_equal(parse_map(map_text, strlen(map_text), &map), ESP_OK);
  assert_int_equal(json_object_size(map), 2);
  assert_string_equal(json_string_value(json_object_get(map, "b")), "x");
  json_decref(map);
}

static void esp_weight_map_parse_refuses_bad_indices(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
  } cases[] = {{"{\"weight_map\":{\"a\":\"../x\"}}", "found ../x"},
               {"{\"weight_map\":{\"a\":\"/x\"}}", "found /x"},
               {"{\"weight_map\":{\"a\":\"sub/x\"}}", "found sub/x"},
               {"{\"weight_map\":{\"a\":\"..\"}}", "found .."},
               {"{\"weight_map\":{\"a\":\".\"}}", "found ."},
               {"{\"weight_map\":{\"a\":\"\"}}", "tensor a"},
               {"{\"weight_map\":{\"a\":1}}", "no text"},
               {"{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "duplicate"},
               {"{\"weight_map\":{}}", "weight_map"},
               {"{\"weight_map\":[]}", "weight_map"},
               {"{}", "weight_map"},
               {"[]", "weight_map"},
               {"{", "JSON"}};
  for (size_t i = 0; i < ESP_COUNT(cases); i++) {
    json_t *map;
    assert_failure(parse_map(cases[i].text, strlen(cases[i].text), &map), ESP_FORMAT,
                   cases[i].part);
    assert_null(map);
  }
}

static void esp_weight_map_parse_survives_mutated_indices(void **state) {
  (void)state;
  enum { CASES = 1000, MOST = 4 };
  int accepted = 0;
  for (uint64_t seed = 0; seed < CASES; seed++) {
    char text[sizeof map_text + MOST];
    uint64_t counter = 0;
    size_t length = strlen(map_text);
    json_t *map;
    memcpy(text, map_text, length);
    for (uint64_t n = 1 + seed % MOST; n > 0; n--) length = mutate(text, length, seed, &counter);
    const esp_status status = parse_map(text, length, &map);
    assert_true(status == ESP_OK ? json_object_size(map) > 0 : status == ESP_FORMAT && !map);
    accepted += status == ESP_OK;
    json_decref(map);
  }
  assert_in_range(accepted, CASES / 100, CASES * 3 / 4);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_safetensors_parse_reads_every_field),
              cmocka_unit_test(esp_safetensors_parse_takes_scalars_and_empty_tensors),
              cmocka_unit_test(esp_safetensors_parse_adds_to_the_tensors_of_other_files),
              cmocka_unit_test(esp_safetensors_parse_knows_the_size_of_every_type),
              cmocka_unit_test(esp_safetensors_parse_takes_other_types_as_bytes),
              cmocka_unit_test(esp_safetensors_parse_refuses_bad_types_and_shapes),
              cmocka_unit_test(esp_safetensors_parse_refuses_bad_offsets),
              cmocka_unit_test(esp_safetensors_parse_refuses_overlaps_holes_and_trailing_bytes),
              cmocka_unit_test(esp_safetensors_parse_refuses_what_is_no_header),
              cmocka_unit_test(esp_safetensors_parse_head_checks_the_length),
              cmocka_unit_test(esp_safetensors_parse_survives_mutated_headers),
              cmocka_unit_test(esp_weight_map_parse_gives_the_file_of_each_tensor),
              cmocka_unit_test(esp_weight_map_parse_refuses_bad_indices),
              cmocka_unit_test(esp_weight_map_parse_survives_mutated_indices))
