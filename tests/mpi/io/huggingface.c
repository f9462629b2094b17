#include "mpi.h"
#include "scratch_folder.h"

#include "espalier/io/tensors.h"

#include <string.h>
#include <unistd.h>

static void put(const char *name, const void *bytes, size_t count) {
  char path[192];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  test_write_file(path, bytes, count);
}

static void put_text(const char *name, const char *text) {
  put(name, text, strlen(text));
}

/* A safetensors file: a header and data that count up from first. */
static void put_shard(const char *name, const char *header, unsigned first, size_t data_bytes) {
  unsigned char bytes[512] = {0};
  const size_t length = strlen(header);
  bytes[0] = (unsigned char)(length & 0xFF);
  bytes[1] = (unsigned char)(length >> 8);
  memcpy(bytes + 8, header, length);
  for (size_t i = 0; i < data_bytes; i++) bytes[8 + length + i] = (unsigned char)(first + i);
  put(name, bytes, 8 + length + data_bytes);
}

#define TENSOR(name, begin, end) \
  "\"" name "\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[" #begin "," #end "]}"
#define ONE "model-00001-of-00002.safetensors"
#define TWO "model-00002-of-00002.safetensors"
#define INDEX "model.safetensors.index.json"

/* A good checkpoint of two shards: a and c in the first, b in the second. */
static void put_sharded(const char *name) {
  make_folder(name);
  put_text("config.json", "{\"model_type\": \"x\"}");
  put_shard(ONE, "{" TENSOR("c", 4, 8) "," TENSOR("a", 0, 4) "}", 0, 8);
  put_shard(TWO, "{" TENSOR("b", 0, 4) "}", 100, 4);
  put_text(INDEX, "{\"weight_map\":{\"a\":\"" ONE "\",\"b\":\"" TWO "\",\"c\":\"" ONE "\"}}");
}

static void check_refused(esp_status code, const char *part) {
  esp_tensor_set *set;
  const esp_status status = esp_tensor_set_open(&test_comm, folder, &set);
  const bool right = status == code && strstr(esp_failure_text(), part) && !set;
  if (!right) print_error("%d '%s' lacks '%s'\n", (int)status, esp_failure_text(), part);
  ASSERT_ALL(right);
}

static bool has_bytes(const esp_tensor *tensor, unsigned first) {
  const unsigned char *data = tensor ? tensor->data : NULL;
  return data && data[0] == first && data[1] == first + 1 && data[3] == first + 3;
}

static void esp_tensor_set_open_maps_a_single_file(void **state) {
  (void)state;
  esp_tensor_set *set;
  make_folder("single");
  put_text("config.json", "{\"model_type\": \"x\"}");
  put_shard("model.safetensors", "{" TENSOR("a", 0, 4) "," TENSOR("b", 4, 8) "}", 7, 8);
  ASSERT_ALL(esp_tensor_set_open(&test_comm, folder, &set) == ESP_OK && set->n_tensors == 2);
  const esp_tensor *b = esp_tensor_set_find(set, "b");
  ASSERT_ALL(b && b->type == ESP_F16 && b->rank == 2 && b->shape[0] == 1 && b->shape[1] == 2);
  ASSERT_ALL(has_bytes(esp_tensor_set_find(set, "a"), 7) && has_bytes(b, 11));
  ASSERT_ALL(strcmp(set->config, "{\"model_type\": \"x\"}") == 0 && !set->details);
  esp_tensor_set_close(&set);
}

static void esp_tensor_set_open_maps_shards(void **state) {
  (void)state;
  esp_tensor_set *set;
  put_sharded("sharded");
  ASSERT_ALL(esp_tensor_set_open(&test_comm, folder, &set) == ESP_OK);
  ASSERT_ALL(set->n_tensors == 3 && set->n_files == 2);
  ASSERT_ALL(has_bytes(esp_tensor_set_find(set, "a"), 0));
  ASSERT_ALL(has_bytes(esp_tensor_set_find(set, "b"), 100));
  ASSERT_ALL(has_bytes(esp_tensor_set_find(set, "c"), 4));
  esp_tensor_set_close(&set);
}

static void esp_tensor_set_open_prefers_the_single_file(void **state) {
  (void)state;
  esp_tensor_set *set;
  put_sharded("both");
  put_shard("model.safetensors", "{" TENSOR("single", 0, 4) "}", 0, 4);
  ASSERT_ALL(esp_tensor_set_open(&test_comm, folder, &set) == ESP_OK && set->n_tensors == 1);
  esp_tensor_set_close(&set);
}

static void esp_tensor_set_open_names_a_missing_shard(void **state) {
  (void)state;
  put_sharded("missing");
  char path[192];
  snprintf(path, sizeof path, "%s/" TWO, folder);
  if (test_comm.rank == 0) unlink(path);
  esp_barrier(&test_comm);
  check_refused(ESP_IO, TWO ": No such file");
}

static void check_all_three(void) {
  esp_tensor_set *set;
  ASSERT_ALL(esp_tensor_set_open(&test_comm, folder, &set) == ESP_OK);
  ASSERT_ALL(set->n_tensors == 3 && set->n_files == 2);
  ASSERT_ALL(has_bytes(esp_tensor_set_find(set, "a"), 0));
  ASSERT_ALL(has_bytes(esp_tensor_set_find(set, "b"), 100));
  ASSERT_ALL(has_bytes(esp_tensor_set_find(set, "c"), 4));
  esp_tensor_set_close(&set);
}

static void esp_tensor_set_open_finds_what_the_index_has_not_or_elsewhere(void **state) {
  (void)state;
  put_sharded("index");
  put_text(INDEX, "{\"weight_map\":{\"a\":\"" ONE "\",\"b\":\"" TWO "\"}}");
  check_all_three();
  put_text(INDEX, "{\"weight_map\":{\"a\":\"" TWO "\",\"b\":\"" ONE "\",\"c\":\"" TWO "\"}}");
  check_all_three();
}

static void esp_tensor_set_open_misses_what_no_shard_has(void **state) {
  (void)state;
  put_sharded("nowhere");
  put_text(INDEX, "{\"weight_map\":{\"a\":\"" ONE "\",\"b\":\"" TWO "\",\"c\":\"" ONE
                  "\",\"d\":\"" TWO "\"}}");
  check_refused(ESP_FORMAT, TWO " lacks the tensor d");
}

static void esp_tensor_set_open_refuses_a_tensor_in_two_shards(void **state) {
  (void)state;
  put_sharded("twice");
  put_shard(TWO, "{" TENSOR("b", 0, 4) "," TENSOR("a", 4, 8) "}", 100, 8);
  check_refused(ESP_FORMAT, "the tensor a twice");
}

static void esp_tensor_set_open_stays_in_the_folder(void **state) {
  (void)state;
  put_sharded("escape");
  put_text(INDEX, "{\"weight_map\":{\"a\":\"../sharded/" ONE "\"}}");
  check_refused(ESP_FORMAT, "../sharded");
  put_text(INDEX, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}");
  check_refused(ESP_FORMAT, "/etc/passwd");
}

static void esp_tensor_set_open_refuses_damaged_shards(void **state) {
  (void)state;
  put_sharded("damaged");
  put_shard(ONE, "{" TENSOR("c", 4, 8) "," TENSOR("a", 0, 4) "}", 0, 7);
  check_refused(ESP_FORMAT, "holds 7 of data");
  put_shard(ONE, "{" TENSOR("c", 4, 8) "," TENSOR("a", 0, 4) "}", 0, 9);
  check_refused(ESP_FORMAT, "1 bytes behind");
  put(ONE, "\x10\0\0\0\0\0\0", 7);
  check_refused(ESP_FORMAT, "cut short");
  put(ONE, "\x10\0\0\0\0\0\0\0{}", 10);
  check_refused(ESP_FORMAT, "cut short");
  put(ONE, "\0\0\0\0\1\0\0\0{}", 10);
  check_refused(ESP_FORMAT, "at most 100000000");
  put(ONE, "", 0);
  check_refused(ESP_FORMAT, "cut short");
}

static void esp_tensor_set_open_says_what_other_weights_need(void **state) {
  (void)state;
  make_folder("pytorch");
  put_text("config.json", "{}");
  check_refused(ESP_FORMAT, "neither is there");
  put_text("pytorch_model.bin", "PK");
  check_refused(ESP_FORMAT, "found pytorch_model.bin: PyTorch weights; convert them");
  make_folder("adapter");
  put_text("config.json", "{}");
  put_text("adapter_model.safetensors", "");
  check_refused(ESP_FORMAT, "merge it");
}

static void esp_tensor_set_open_wants_a_configuration(void **state) {
  (void)state;
  make_folder("bare");
  put_shard("model.safetensors", "{" TENSOR("a", 0, 4) "}", 0, 4);
  check_refused(ESP_FORMAT, "no config.json");
  put("config.json", "{\0}", 3);
  check_refused(ESP_FORMAT, "zero byte at 1");
}

static void esp_tensor_set_open_refuses_a_folder_in_place_of_a_file(void **state) {
  (void)state;
  make_folder("outer");
  put_text("config.json", "{}");
  make_folder("outer/model.safetensors");
  strcpy(strrchr(folder, '/'), "");
  check_refused(ESP_IO, "not a plain file");
}

static void esp_tensor_set_open_fails_everywhere_when_one_rank_has_no_such_folder(void **state) {
  (void)state;
  esp_tensor_set *set;
  put_sharded("shared");
  for (int bad = 0; bad < test_comm.size; bad++) {
    const char *mine = test_comm.rank == bad ? "/no/such" : folder;
    const esp_status status = esp_tensor_set_open(&test_comm, mine, &set);
    ASSERT_ALL(status == ESP_IO && strstr(esp_failure_text(), "/no/such") && !set);
  }
}

ESP_TEST_MAIN(
    cmocka_unit_test(esp_tensor_set_open_maps_a_single_file),
    cmocka_unit_test(esp_tensor_set_open_maps_shards),
    cmocka_unit_test(esp_tensor_set_open_prefers_the_single_file),
    cmocka_unit_test(esp_tensor_set_open_names_a_missing_shard),
    cmocka_unit_test(esp_tensor_set_open_finds_what_the_index_has_not_or_elsewhere),
    cmocka_unit_test(esp_tensor_set_open_misses_what_no_shard_has),
    cmocka_unit_test(esp_tensor_set_open_refuses_a_tensor_in_two_shards),
    cmocka_unit_test(esp_tensor_set_open_stays_in_the_folder),
    cmocka_unit_test(esp_tensor_set_open_refuses_damaged_shards),
    cmocka_unit_test(esp_tensor_set_open_says_what_other_weights_need),
    cmocka_unit_test(esp_tensor_set_open_wants_a_configuration),
    cmocka_unit_test(esp_tensor_set_open_refuses_a_folder_in_place_of_a_file),
    cmocka_unit_test(esp_tensor_set_open_fails_everywhere_when_one_rank_has_no_such_folder))
