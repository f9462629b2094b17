#include "mpi.h"

#include "espalier/core/hash.h"
#include "espalier/io/file.h"
#include "mlp.h"

#include <stdlib.h>

static const int64_t sizes[3] = {5, 7, 3}; // three rows at the top: fewer than four ranks
static const esp_dtype types[4] = {ESP_BF16, ESP_F32, ESP_F16, ESP_F64};
static char path[128];

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static void set_path(const char *name) {
  snprintf(path, sizeof path, "%s", test_path(name));
}

static esp_model *new_mixed(uint64_t seed) {
  esp_model *model = mlp_new("gelu", sizes, 3, seed);
  for (int w = 0; w < model->n_weights; w++) model->weights[w].type = types[w];
  return model;
}

static esp_status write_to(const esp_comm *comm, esp_model *model, const char *report) {
  esp_h5 *file = NULL;
  esp_status status = esp_h5_create(comm, path, &file);
  if (status == ESP_OK) status = esp_meta_write(file, ESP_MODEL_KIND, NULL);
  if (status == ESP_OK) status = esp_model_write(comm, model, file);
  if (status == ESP_OK && report) status = esp_h5_write_text(file, "/report", report);
  if (status == ESP_OK) status = esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}

/* Write a model's tensors under another configuration; skip: index of one to leave out, or -1. */
static void write_parts(const char *config, const esp_model *model, int skip) {
  esp_h5 *file = NULL;
  esp_status status = esp_h5_create(&test_comm, path, &file);
  if (status == ESP_OK) status = esp_meta_write(file, ESP_MODEL_KIND, NULL);
  if (status == ESP_OK) status = esp_h5_write_text(file, "/config", config);
  for (int w = 0; w < model->n_weights && status == ESP_OK; w++) {
    const esp_weight *weight = &model->weights[w];
    esp_h5_shape shape = {weight->type, weight->rank, {weight->shape[0], weight->shape[1]}};
    char *name = esp_format("/model/%s", weight->name);
    if (w != skip) status = esp_h5_write_root(file, name, &shape, weight->value);
    esp_free(&name);
  }
  if (status != ESP_OK || esp_h5_commit(&file) != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
}

/* The same number after a round trip through a type. */
static float narrow(esp_dtype type, float value) {
  double word = 0.0; // room for the widest
  float back;
  esp_dtype_from_f32(type, &value, 1, &word);
  esp_dtype_to_f32(type, &word, 1, &back);
  return back;
}

static bool has_values(const esp_model *read, const esp_model *written) {
  for (int w = 0; w < written->n_weights; w++)
    for (int64_t i = 0; i < esp_weight_count(&written->weights[w]); i++)
      if (read->weights[w].value[i] != narrow(types[w], written->weights[w].value[i])) return false;
  return true;
}

static void esp_model_open_reads_what_was_written(void **state) {
  (void)state;
  esp_model *written = new_mixed(1), *read = NULL;
  set_path("round.h5");
  ASSERT_ALL(write_to(&test_comm, written, NULL) == ESP_OK);
  ASSERT_ALL(esp_model_open(&test_comm, path, &read) == ESP_OK);
  ASSERT_ALL(json_equal(read->config, written->config) && strcmp(read->path, path) == 0);
  ASSERT_ALL(esp_model_load_all(&test_comm, read) == ESP_OK);
  ASSERT_ALL(has_values(read, written) && read->weights[0].type == ESP_BF16);
  ASSERT_ALL(read->details == NULL);
  esp_model_free(&read);
  esp_model_free(&written);
}

static void esp_model_open_keeps_the_report(void **state) {
  (void)state;
  esp_model *written = new_mixed(1), *read = NULL;
  set_path("report.h5");
  ASSERT_ALL(write_to(&test_comm, written, "{\"kept\": 4}") == ESP_OK);
  ASSERT_ALL(esp_model_open(&test_comm, path, &read) == ESP_OK);
  ASSERT_ALL(strcmp(read->details, "{\"kept\": 4}") == 0);
  esp_model_free(&read);
  esp_model_free(&written);
}

static void esp_model_write_again_gives_the_same_bytes(void **state) {
  (void)state;
  char *first = NULL, *second = NULL;
  int64_t bytes[2] = {0, 1};
  esp_model *written = new_mixed(1), *read = NULL;
  set_path("first.h5");
  ASSERT_ALL(write_to(&test_comm, written, NULL) == ESP_OK);
  ASSERT_ALL(esp_model_open(&test_comm, path, &read) == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &first, &bytes[0]) == ESP_OK);
  set_path("second.h5");
  ASSERT_ALL(write_to(&test_comm, read, NULL) == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &second, &bytes[1]) == ESP_OK);
  ASSERT_ALL(bytes[0] == bytes[1] && memcmp(first, second, (size_t)bytes[0]) == 0);
  esp_free(&first);
  esp_free(&second);
  esp_model_free(&read);
  esp_model_free(&written);
}

static void esp_model_write_gives_the_bytes_of_one_rank(void **state) {
  (void)state;
  char *all = NULL, *one = NULL;
  int64_t bytes[2] = {0, 1};
  esp_comm self;
  esp_comm_init_local(&self);
  esp_model *model = new_mixed(2);
  set_path("one.h5");
  ASSERT_ALL(test_comm.rank > 0 || write_to(&self, model, NULL) == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &one, &bytes[0]) == ESP_OK);
  set_path("all.h5");
  ASSERT_ALL(write_to(&test_comm, model, NULL) == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &all, &bytes[1]) == ESP_OK);
  ASSERT_ALL(bytes[0] == bytes[1] && memcmp(one, all, (size_t)bytes[0]) == 0);
  esp_free(&one);
  esp_free(&all);
  esp_model_free(&model);
  esp_comm_clear(&self);
}

static void check_refused(esp_status code, const char *part) {
  esp_model *model = NULL;
  ASSERT_ALL(failed(esp_model_open(&test_comm, path, &model), code, part) && !model);
}

static void check_parts(const char *config, int skip, esp_status code, const char *part) {
  esp_model *model = mlp_new("relu", sizes, 3, 1);
  char *own = json_dumps(model->config, 0);
  set_path("parts.h5");
  write_parts(config ? config : own, model, skip);
  check_refused(code, part);
  free(own);
  esp_model_free(&model);
}

static void esp_model_open_names_a_missing_tensor(void **state) {
  (void)state;
  check_parts(NULL, 0, ESP_MISMATCH, "'layers.0.weight'");
  check_parts(NULL, 3, ESP_MISMATCH, "'layers.1.bias'");
  check_parts("{\"model_type\": \"mlp\", \"activation\": \"relu\", \"input_mean\": 0, "
              "\"input_std\": 1, \"layer_sizes\": [5, 7, 3, 2]}",
              -1, ESP_MISMATCH, "'layers.2.weight'");
}

static void esp_model_open_names_a_tensor_of_another_shape(void **state) {
  (void)state;
  check_parts("{\"model_type\": \"mlp\", \"activation\": \"relu\", \"input_mean\": 0, "
              "\"input_std\": 1, \"layer_sizes\": [5, 8, 3]}",
              -1, ESP_MISMATCH,
              "'layers.0.weight': expected shape (8, 5) from the configuration, found F32 (7, 5)");
}

static void esp_model_open_refuses_integer_weights(void **state) {
  (void)state;
  esp_model *model = mlp_new("relu", sizes, 3, 1);
  char *config = json_dumps(model->config, 0);
  set_path("integer.h5");
  model->weights[1].type = ESP_I32;
  write_parts(config, model, -1);
  check_refused(ESP_MISMATCH,
                "'layers.0.bias': expected shape (7) from the configuration, found I32");
  free(config);
  esp_model_free(&model);
}

static void esp_model_open_refuses_a_configuration_that_is_no_json_object(void **state) {
  (void)state;
  check_parts("{\"model_type\": ", -1, ESP_FORMAT, "expected a JSON object");
  check_parts("[1, 2]", -1, ESP_FORMAT, "expected a JSON object");
  check_parts("{}", -1, ESP_FORMAT, "'model_type'");
  check_parts(
      "{\"model_type\": \"perceptron\"}", -1, ESP_FORMAT,
      "unknown model_type 'perceptron'; known: mlp, gpt2, bert, llama, mistral, qwen2, qwen3");
}

static void esp_model_open_fails_everywhere_when_one_rank_cannot(void **state) {
  (void)state;
  esp_model *written = new_mixed(1), *read = NULL;
  set_path("shared.h5");
  ASSERT_ALL(write_to(&test_comm, written, NULL) == ESP_OK);
  for (int bad = 0; bad < test_comm.size; bad++) {
    const char *mine = test_comm.rank == bad ? "/no/such.h5" : path;
    ASSERT_ALL(failed(esp_model_open(&test_comm, mine, &read), ESP_IO, "/no/such.h5") && !read);
  }
  esp_model_free(&written);
}

static void esp_model_load_all_fails_everywhere_when_one_rank_has_nan(void **state) {
  (void)state;
  float nans[7 * 5];
  for (int i = 0; i < 7 * 5; i++) nans[i] = NAN;
  esp_model *written = mlp_new("relu", sizes, 3, 1), *read = NULL;
  set_path("nan.h5");
  ASSERT_ALL(write_to(&test_comm, written, NULL) == ESP_OK);
  for (int bad = 0; bad < test_comm.size; bad++) {
    ASSERT_ALL(esp_model_open(&test_comm, path, &read) == ESP_OK);
    if (test_comm.rank == bad) read->weights[0].stored = nans;
    ASSERT_ALL(failed(esp_model_load_all(&test_comm, read), ESP_NUMERIC, "'layers.0.weight'"));
    esp_model_free(&read);
  }
  esp_model_free(&written);
}

/* The last row of a matrix belongs to the last rank that has any. */
static void check_not_written(float bad, esp_dtype type, const char *part) {
  esp_model *model = mlp_new("relu", sizes, 3, 1);
  char *text = NULL;
  int64_t bytes;
  model->weights[2].value[3 * 7 - 1] = bad;
  model->weights[2].type = type;
  ASSERT_ALL(failed(write_to(&test_comm, model, NULL), ESP_NUMERIC, part));
  ASSERT_ALL(esp_file_read(&test_comm, path, &text, &bytes) == ESP_IO);
  esp_model_free(&model);
}

static void esp_model_write_refuses_what_is_not_finite_in_its_type(void **state) {
  (void)state;
  set_path("unwritten.h5");
  check_not_written(NAN, ESP_F32, "'layers.1.weight'");
  check_not_written(-INFINITY, ESP_BF16, "found -inf at element 20");
  check_not_written(65520.0f, ESP_F16, "finite numbers in F16, found 65520");
  check_not_written(3.4e38f, ESP_BF16, "BF16");
}

static void esp_model_write_takes_the_largest_number_of_a_type(void **state) {
  (void)state;
  esp_model *written = new_mixed(1), *read = NULL;
  set_path("largest.h5");
  written->weights[2].value[0] = 65519.0f; // rounds to 65504 in float16
  written->weights[0].value[0] = 3.3895e38f;
  ASSERT_ALL(write_to(&test_comm, written, NULL) == ESP_OK);
  ASSERT_ALL(esp_model_open(&test_comm, path, &read) == ESP_OK);
  ASSERT_ALL(esp_model_load_all(&test_comm, read) == ESP_OK && has_values(read, written));
  ASSERT_ALL(read->weights[2].value[0] == 65504.0f);
  esp_model_free(&read);
  esp_model_free(&written);
}

/* Write and open on `comm` (other ranks do nothing), and get the fingerprint on all ranks. */
static uint64_t fingerprint(const esp_comm *comm, esp_model *model, const char *name) {
  esp_model *read = NULL;
  uint64_t hash = 0;
  set_path(name);
  bool good = write_to(&test_comm, model, NULL) == ESP_OK;
  good = test_all(good) && esp_model_open(comm, path, &read) == ESP_OK;
  ASSERT_ALL(good);
  hash = esp_model_fingerprint(comm, read);
  esp_model_free(&read);
  esp_barrier(&test_comm);
  return hash;
}

static void esp_model_fingerprint_is_that_of_one_rank(void **state) {
  (void)state;
  esp_comm self;
  esp_comm_init_local(&self);
  esp_model *model = new_mixed(1);
  const uint64_t alone = fingerprint(&self, model, "alone.h5");
  ASSERT_ALL(alone != 0 && alone == fingerprint(&test_comm, model, "together.h5"));
  esp_model_free(&model);
  esp_comm_clear(&self);
}

static void esp_model_fingerprint_sees_one_weight_a_type_and_the_configuration(void **state) {
  (void)state;
  esp_model *model = new_mixed(1);
  uint64_t seen[4];
  seen[0] = fingerprint(&test_comm, model, "f0.h5");
  model->weights[3].value[2] += 1.0f;
  seen[1] = fingerprint(&test_comm, model, "f1.h5");
  json_object_set_new(model->config, "input_mean", json_real(0.26));
  seen[2] = fingerprint(&test_comm, model, "f2.h5");
  memset(model->weights[3].value, 0, 3 * sizeof(float)); // the same bytes in both types
  model->weights[3].type = ESP_F16;
  seen[3] = fingerprint(&test_comm, model, "f3.h5");
  model->weights[3].type = ESP_BF16;
  ASSERT_ALL(fingerprint(&test_comm, model, "f4.h5") != seen[3]);
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++) ASSERT_ALL(seen[i] != seen[j]);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_model_open_reads_what_was_written),
              cmocka_unit_test(esp_model_open_keeps_the_report),
              cmocka_unit_test(esp_model_write_again_gives_the_same_bytes),
              cmocka_unit_test(esp_model_write_gives_the_bytes_of_one_rank),
              cmocka_unit_test(esp_model_open_names_a_missing_tensor),
              cmocka_unit_test(esp_model_open_names_a_tensor_of_another_shape),
              cmocka_unit_test(esp_model_open_refuses_integer_weights),
              cmocka_unit_test(esp_model_open_refuses_a_configuration_that_is_no_json_object),
              cmocka_unit_test(esp_model_open_fails_everywhere_when_one_rank_cannot),
              cmocka_unit_test(esp_model_load_all_fails_everywhere_when_one_rank_has_nan),
              cmocka_unit_test(esp_model_write_refuses_what_is_not_finite_in_its_type),
              cmocka_unit_test(esp_model_write_takes_the_largest_number_of_a_type),
              cmocka_unit_test(esp_model_fingerprint_is_that_of_one_rank),
              cmocka_unit_test(esp_model_fingerprint_sees_one_weight_a_type_and_the_configuration))
