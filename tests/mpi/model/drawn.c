/* Weights that are stored as a seed. */
#include "mpi.h"

#include "mlp.h"

#include <sys/stat.h>

static const int64_t sizes[4] = {50, 90, 60, 3};
enum { SEED = 9 };

static esp_model *new_model(void) {
  esp_model *model = NULL;
  json_t *config = mlp_config("relu", sizes, 4);
  assert_int_equal(esp_model_new(config, &model), ESP_OK);
  json_decref(config);
  esp_model_own_all(model);
  model->family->init(model, SEED);
  return model;
}

/* Every part-th value is another, the one behind it zero; 0: all are as drawn. */
static void change(esp_model *model, int64_t part) {
  for (int w = 0; w < model->n_weights && part > 0; w++)
    for (int64_t i = 0; i + 1 < esp_weight_count(&model->weights[w]); i += part) {
      model->weights[w].value[i] += 1.0f;
      model->weights[w].value[i + 1] = 0.0f;
    }
}

static const char *write_model(esp_model *model, const char *name) {
  esp_h5 *file = NULL;
  const char *path = test_path(name);
  assert_int_equal(esp_h5_create(&test_comm, path, &file), ESP_OK);
  assert_int_equal(esp_meta_write(file, ESP_MODEL_KIND, "{}"), ESP_OK);
  assert_int_equal(esp_model_write(&test_comm, model, file), ESP_OK);
  assert_int_equal(esp_h5_commit(&file), ESP_OK);
  return path;
}

static bool is_same(const esp_model *a, const esp_model *b) {
  bool same = a->n_weights == b->n_weights;
  for (int w = 0; w < a->n_weights && same; w++)
    same = memcmp(a->weights[w].value, b->weights[w].value,
                  (size_t)esp_weight_count(&a->weights[w]) * sizeof(float)) == 0;
  return same;
}

static int64_t get_bytes(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 ? (int64_t)about.st_size : -1;
}

/* A model that is written and read again; how large its file is. */
static int64_t write_and_read(int64_t part, bool is_drawn) {
  esp_model *model = new_model(), *read = NULL;
  change(model, part);
  model->is_drawn = is_drawn;
  model->seed = SEED;
  const char *path = write_model(model, "drawn.h5");
  ASSERT_ALL(esp_model_open(&test_comm, path, &read) == ESP_OK);
  ASSERT_ALL(esp_model_load_all(&test_comm, read) == ESP_OK);
  ASSERT_ALL(is_same(model, read));
  const int64_t bytes = get_bytes(path);
  esp_model_free(&read);
  esp_model_free(&model);
  return bytes;
}

static void esp_model_write_of_a_seed_reads_the_same_bits(void **state) {
  (void)state;
  const int64_t whole = write_and_read(20, false);
  ASSERT_ALL(write_and_read(20, true) < whole / 2);
  ASSERT_ALL(write_and_read(0, true) < whole / 3); // no values but the seed's
  ASSERT_ALL(write_and_read(2, true) < whole);
}

static void esp_model_write_of_weights_that_are_all_others_is_whole(void **state) {
  (void)state;
  const int64_t whole = write_and_read(1, false); // all but the last are others
  ASSERT_ALL(write_and_read(1, true) <= whole + 1024);
}

/* A model says which of its parts is another's. */
static void esp_model_open_refuses_parts_that_do_not_fit(void **state) {
  static const struct {
    const char *name;
    esp_h5_shape shape;
  } parts[] = {{"layers.0.weight.drawn", {ESP_U8, 1, {3}}}, {"drawn.seed", {ESP_U64, 1, {1}}}};
  const uint64_t data[1] = {SEED};
  (void)state;
  esp_model *model = new_model(), *read = NULL;
  esp_h5 *file = NULL;
  const char *path = test_path("damaged.h5");
  char *config = json_dumps(model->config, 0);
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_meta_write(file, ESP_MODEL_KIND, "{}") == ESP_OK);
  ASSERT_ALL(esp_h5_write_text(file, "/config", config) == ESP_OK);
  for (size_t i = 0; i < ESP_COUNT(parts); i++) {
    char *name = esp_format("/model/%s", parts[i].name);
    ASSERT_ALL(esp_h5_write_root(file, name, &parts[i].shape, data) == ESP_OK);
    esp_free(&name);
  }
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  ASSERT_ALL(esp_model_open(&test_comm, path, &read) == ESP_FORMAT);
  ASSERT_ALL(strstr(esp_failure_text(), "'layers.0.weight': expected a seed") != NULL);
  free(config);
  esp_model_free(&model);
}

/* Any rank makes any slice. */
static void draw_of_a_slice_is_that_of_the_whole(void **state) {
  (void)state;
  esp_model *model = new_model();
  float slice[700];
  model->family->draw(model, SEED, (esp_weight_range){2, 1234, 700}, slice);
  ASSERT_ALL(memcmp(slice, model->weights[2].value + 1234, sizeof slice) == 0);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_model_write_of_a_seed_reads_the_same_bits),
              cmocka_unit_test(esp_model_write_of_weights_that_are_all_others_is_whole),
              cmocka_unit_test(esp_model_open_refuses_parts_that_do_not_fit),
              cmocka_unit_test(draw_of_a_slice_is_that_of_the_whole))
