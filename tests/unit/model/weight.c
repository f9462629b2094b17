#include "unit.h"

#include "mlp.h"
#include "rows.h"

#include "espalier/model/cost.h"

/* Stored (rows, cols) of layers.0.weight; the weight may be a view of it. */
enum { ROWS = 7, COLS = 5, CUBE = 3 * 4 * 6 };
static const int64_t sizes[3] = {COLS, ROWS, 3};

static esp_model *new_model(void) {
  esp_model *model = NULL;
  json_t *config = mlp_config("relu", sizes, 3);
  assert_int_equal(esp_model_new(config, &model), ESP_OK);
  json_decref(config);
  return model;
}

/* Quarters up to 16: exact in every float type. */
static float number(int64_t i) {
  return (float)((int)esp_rng_below(9, 0, (uint64_t)i, 128) - 64) / 4.0f;
}

static void fill(float *values, int64_t n) {
  for (int64_t i = 0; i < n; i++) values[i] = number(i);
}

static void set_keep(esp_weight *weight, int axis, const int64_t *keep, int64_t n) {
  weight->keep[axis] = ESP_NEW(int64_t, n);
  memcpy(weight->keep[axis], keep, (size_t)n * sizeof *keep);
  weight->shape[axis] = n;
}

/* A model whose embedding has stored weights: the matrix, and a bias that is its first numbers. */
static esp_model *new_stored(const void *stored, esp_dtype type) {
  esp_model *model = new_model();
  for (int w = 0; w < 2; w++) {
    model->weights[w].stored = stored;
    model->weights[w].type = type;
  }
  return model;
}

static void esp_model_load_uses_stored_floats_in_place(void **state) {
  (void)state;
  float stored[ROWS * COLS];
  fill(stored, ROWS * COLS);
  esp_model *model = new_stored(stored, ESP_F32);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  assert_ptr_equal(model->weights[0].value, stored);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  assert_null(model->weights[2].value); // of another stage
  esp_model_unload(model, ESP_STAGE_EMBED);
  assert_null(model->weights[0].value);
  esp_model_free(&model);
}

/* The mapping stays as it is; what is loaded has zeros. */
static void esp_model_load_applies_the_mask_to_a_copy(void **state) {
  (void)state;
  float stored[ROWS * COLS];
  for (int i = 0; i < ROWS * COLS; i++) stored[i] = 1.0f + (float)i;
  esp_model *model = new_stored(stored, ESP_F32);
  model->weights[0].mask = ESP_NEW(uint8_t, (ROWS * COLS + 7) / 8);
  model->weights[0].mask[1] = 0x05; // elements 8 and 10
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  for (int i = 0; i < ROWS * COLS; i++)
    assert_true(model->weights[0].value[i] == (i == 8 || i == 10 ? stored[i] : 0.0f));
  assert_true(stored[0] == 1.0f);
  esp_model_unload(model, ESP_STAGE_EMBED);
  esp_model_free(&model);
}

static void esp_model_load_copies_unaligned_floats(void **state) {
  (void)state;
  float values[ROWS * COLS], room[ROWS * COLS + 1];
  char *odd = (char *)room + 1;
  fill(values, ROWS * COLS);
  memcpy(odd, values, sizeof values);
  esp_model *model = new_stored(odd, ESP_F32);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  assert_int_equal((uintptr_t)model->weights[0].value % sizeof(float), 0);
  assert_memory_equal(model->weights[0].value, values, sizeof values);
  esp_model_free(&model);
}

static void esp_model_load_converts_half_types(void **state) {
  (void)state;
  static const esp_dtype types[2] = {ESP_F16, ESP_BF16};
  float values[ROWS * COLS];
  uint16_t words[ROWS * COLS];
  fill(values, ROWS * COLS);
  for (int t = 0; t < 2; t++) {
    esp_dtype_from_f32(types[t], values, ROWS * COLS, words);
    esp_model *model = new_stored(words, types[t]);
    assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
    assert_memory_equal(model->weights[0].value, values, sizeof values);
    assert_memory_equal(model->weights[1].value, values, ROWS * sizeof *values);
    esp_model_free(&model);
  }
}

/* Both lists at will: NULL keeps all. */
static void check_matrix(esp_dtype type, const int64_t *rows, const int64_t *cols) {
  float values[ROWS * COLS], words[ROWS * COLS];
  fill(values, ROWS * COLS);
  esp_dtype_from_f32(type, values, ROWS * COLS, words);
  esp_model *model = new_stored(words, type);
  esp_weight *weight = &model->weights[0];
  if (rows) set_keep(weight, 0, rows, 3);
  if (cols) set_keep(weight, 1, cols, 2);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  for (int64_t i = 0; i < weight->shape[0]; i++)
    for (int64_t j = 0; j < weight->shape[1]; j++)
      assert_true(weight->value[i * weight->shape[1] + j] ==
                  values[(rows ? rows[i] : i) * COLS + (cols ? cols[j] : j)]);
  esp_model_free(&model);
}

static void esp_model_load_gathers_kept_rows_and_columns(void **state) {
  (void)state;
  static const esp_dtype types[3] = {ESP_F32, ESP_F16, ESP_BF16};
  static const int64_t rows[3] = {0, 4, 6}, cols[2] = {1, 4};
  for (int t = 0; t < 3; t++) {
    check_matrix(types[t], rows, NULL);
    check_matrix(types[t], NULL, cols);
    check_matrix(types[t], rows, cols);
  }
}

static void esp_model_load_gathers_kept_elements_of_a_bias(void **state) {
  (void)state;
  static const int64_t keep[2] = {2, 6};
  float stored[ROWS * COLS];
  fill(stored, ROWS * COLS);
  esp_model *model = new_stored(stored, ESP_F32);
  set_keep(&model->weights[1], 0, keep, 2);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  assert_true(model->weights[1].value[0] == stored[2] && model->weights[1].value[1] == stored[6]);
  esp_model_free(&model);
}

static void esp_model_load_gathers_along_three_axes(void **state) {
  (void)state;
  static const int64_t keep[3][2] = {{0, 2}, {1, 3}, {2, 5}};
  float stored[CUBE];
  fill(stored, CUBE);
  esp_model *model = new_model();
  const esp_weight_shape shape = {model->n_stages, 3, {3, 4, 6}};
  const int index = esp_model_add_weight(model, shape, "cube.%d", 0);
  esp_weight *weight = &model->weights[index];
  weight->stored = stored;
  for (int axis = 0; axis < 3; axis++) set_keep(weight, axis, keep[axis], 2);
  assert_int_equal(esp_model_load_local(model, model->n_stages), ESP_OK);
  for (int i = 0; i < 8; i++)
    assert_true(weight->value[i] ==
                stored[keep[0][i >> 2] * 24 + keep[1][i >> 1 & 1] * 6 + keep[2][i & 1]]);
  esp_model_free(&model);
}

static void esp_model_load_takes_an_empty_view(void **state) {
  (void)state;
  float stored[ROWS * COLS] = {0};
  static const int64_t none[1] = {0};
  for (int axis = 0; axis < 2; axis++) {
    esp_model *model = new_stored(stored, ESP_F32);
    set_keep(&model->weights[0], axis, none, 0);
    assert_int_equal(esp_weight_count(&model->weights[0]), 0);
    assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
    esp_model_free(&model);
  }
}

static void check_not_finite(float bad, const char *found) {
  float stored[ROWS * COLS];
  fill(stored, ROWS * COLS);
  stored[17] = bad;
  esp_model *model = new_stored(stored, ESP_F32);
  assert_failure(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_NUMERIC, "'layers.0.weight'");
  assert_non_null(strstr(esp_failure_text(), found));
  assert_non_null(strstr(esp_failure_text(), "element 17"));
  esp_model_free(&model);
}

static void esp_model_load_names_a_weight_that_is_not_finite(void **state) {
  (void)state;
  check_not_finite(NAN, "nan");
  check_not_finite(INFINITY, "inf");
  check_not_finite(-INFINITY, "-inf");
}

static void esp_model_load_finds_nan_of_half_types(void **state) {
  (void)state;
  static const esp_dtype types[2] = {ESP_F16, ESP_BF16};
  static const uint16_t nans[2] = {0x7E00, 0x7FC0};
  for (int t = 0; t < 2; t++) {
    uint16_t words[ROWS * COLS] = {0};
    words[ROWS * COLS - 1] = nans[t];
    esp_model *model = new_stored(words, types[t]);
    assert_failure(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_NUMERIC, "element 34");
    esp_model_free(&model);
  }
}

static void esp_model_load_fails_again_when_asked_again(void **state) {
  (void)state;
  float stored[ROWS * COLS] = {[3] = NAN};
  esp_model *model = new_stored(stored, ESP_F32);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_NUMERIC);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_NUMERIC);
  assert_null(model->weights[0].value);
  esp_model_free(&model);
}

static void esp_model_load_ignores_nan_that_was_cut_away(void **state) {
  (void)state;
  static const int64_t keep[3] = {0, 2, 5};
  float stored[ROWS * COLS] = {[1 * COLS + 2] = NAN};
  esp_model *model = new_stored(stored, ESP_F32);
  set_keep(&model->weights[0], 0, keep, 3);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  esp_model_free(&model);
}

/* What is read row by row is what loading gives, of a view with a mask too. */
static void check_rows_read(esp_dtype type, bool is_view) {
  static const int64_t rows[4] = {1, 2, 5, 6}, columns[3] = {0, 3, 4};
  static const int32_t asked[5] = {3, 0, 3, 1, 2};
  uint8_t stored[ROWS * COLS * sizeof(float)];
  float values[ROWS * COLS], found[5 * COLS];
  fill(values, ROWS * COLS);
  esp_dtype_from_f32(type, values, ROWS * COLS, stored);
  esp_model *model = new_stored(stored, type);
  esp_weight *weight = &model->weights[0];
  weight->is_table = true;
  if (is_view) set_keep(weight, 0, rows, 4);
  if (is_view) set_keep(weight, 1, columns, 3);
  if (is_view) weight->mask = ESP_NEW(uint8_t, 2);
  if (is_view) weight->mask[0] = 0x5A;
  const int64_t n = weight->shape[1];
  assert_int_equal(esp_model_load_embedding_local(model), ESP_OK);
  assert_null(weight->value);
  esp_weight_read_rows(weight, 5, asked, found);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  for (int i = 0; i < 5; i++)
    assert_memory_equal(found + i * n, weight->value + asked[i] * n, (size_t)n * sizeof(float));
  float again[5 * COLS];
  esp_weight_read_rows(weight, 5, asked, again);
  assert_memory_equal(found, again, (size_t)(5 * n) * sizeof(float));
  esp_model_free(&model);
}

static void esp_weight_read_rows_gives_what_loading_does(void **state) {
  (void)state;
  check_rows_read(ESP_BF16, false);
  check_rows_read(ESP_F16, true);
}

static void esp_model_load_embedding_finds_a_row_that_is_not_finite(void **state) {
  (void)state;
  uint16_t words[ROWS * COLS] = {0};
  words[23] = 0x7FC0;
  esp_model *model = new_stored(words, ESP_BF16);
  model->weights[0].is_table = true;
  assert_failure(esp_model_load_embedding_local(model), ESP_NUMERIC, "element 23");
  esp_model_free(&model);
}

static void esp_model_load_embedding_loads_what_is_no_table(void **state) {
  (void)state;
  uint16_t words[ROWS * COLS] = {0x3F80};
  esp_model *model = new_stored(words, ESP_BF16);
  model->weights[0].is_table = true;
  assert_true(esp_model_embedding_bytes(model) == esp_weight_loaded_bytes(&model->weights[1]));
  assert_int_equal(esp_model_load_embedding_local(model), ESP_OK);
  assert_null(model->weights[0].value);
  assert_true(model->weights[1].value[0] == 1.0f);
  esp_model_unload(model, ESP_STAGE_EMBED);
  assert_null(model->weights[1].value);
  esp_model_free(&model);
}

static void esp_weight_own_is_zeroed_and_never_unloaded(void **state) {
  (void)state;
  float stored[ROWS * COLS];
  fill(stored, ROWS * COLS);
  esp_model *model = new_stored(stored, ESP_F32);
  float *value = esp_weight_own(&model->weights[0]);
  for (int i = 0; i < ROWS * COLS; i++) assert_true(value[i] == 0.0f);
  value[3] = 8.0f;
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  esp_model_unload(model, ESP_STAGE_EMBED);
  assert_ptr_equal(model->weights[0].value, value);
  assert_true(value[3] == 8.0f && stored[3] == number(3));
  assert_null(model->weights[1].value);
  esp_model_free(&model);
}

static void esp_weight_own_replaces_a_loaded_value(void **state) {
  (void)state;
  uint16_t words[ROWS * COLS] = {0x3F80};
  esp_model *model = new_stored(words, ESP_BF16);
  assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
  assert_true(model->weights[0].value[0] == 1.0f);
  assert_true(esp_weight_own(&model->weights[0])[0] == 0.0f);
  assert_true(esp_weight_own(&model->weights[0])[0] == 0.0f);
  esp_model_free(&model);
}

/* A model whose head reads the embedding. */
static esp_model *new_tied(const float *stored) {
  esp_model *model = new_stored(stored, ESP_F32);
  model->is_head_tied = true;
  return model;
}

static void load(esp_model *model, int stage) {
  assert_int_equal(esp_model_load_local(model, stage), ESP_OK);
}

static bool has_embedding(const esp_model *model) {
  assert_true(!model->weights[0].value == !model->weights[1].value);
  return model->weights[0].value;
}

static void esp_model_unload_of_a_tied_head_leaves_a_loaded_embedding(void **state) {
  (void)state;
  const float stored[ROWS * COLS] = {1.0f};
  esp_model *model = new_tied(stored);
  load(model, ESP_STAGE_EMBED);
  load(model, model->n_stages);
  esp_model_unload(model, model->n_stages);
  assert_true(has_embedding(model));
  esp_model_unload(model, ESP_STAGE_EMBED);
  assert_false(has_embedding(model));
  esp_model_free(&model);
}

static void esp_model_unload_of_the_embedding_leaves_it_to_a_tied_head(void **state) {
  (void)state;
  const float stored[ROWS * COLS] = {1.0f};
  esp_model *model = new_tied(stored);
  load(model, model->n_stages);
  load(model, ESP_STAGE_EMBED);
  esp_model_unload(model, ESP_STAGE_EMBED);
  assert_true(has_embedding(model));
  esp_model_unload(model, model->n_stages);
  assert_false(has_embedding(model));
  esp_model_free(&model);
}

static void esp_model_unload_ends_any_number_of_loadings(void **state) {
  (void)state;
  const float stored[ROWS * COLS] = {1.0f};
  esp_model *model = new_tied(stored);
  load(model, model->n_stages);
  load(model, model->n_stages);
  esp_model_unload(model, model->n_stages);
  assert_false(has_embedding(model));
  load(model, ESP_STAGE_EMBED);
  load(model, model->n_stages);
  esp_model_unload_all(model);
  assert_false(has_embedding(model));
  esp_model_free(&model);
}

static void esp_model_unload_of_a_tied_head_leaves_final_values(void **state) {
  (void)state;
  const float stored[ROWS * COLS] = {1.0f};
  esp_model *model = new_tied(stored);
  esp_weight_own(&model->weights[0]);
  load(model, model->n_stages);
  esp_model_unload(model, model->n_stages);
  assert_non_null(model->weights[0].value);
  assert_null(model->weights[1].value);
  esp_model_free(&model);
}

/* A view of a matrix, (4, 3) of (7, 5), and a mask of it. */
static esp_model *new_view(const void *stored, esp_dtype type, bool is_masked) {
  static const int64_t rows[4] = {0, 2, 3, 6}, cols[3] = {1, 2, 4};
  esp_model *model = new_stored(stored, type);
  set_keep(&model->weights[0], 0, rows, 4);
  set_keep(&model->weights[0], 1, cols, 3);
  if (!is_masked) return model;
  model->weights[0].mask = ESP_NEW(uint8_t, 2);
  memcpy(model->weights[0].mask, "\x5a\x0b", 2);
  return model;
}

/* What is copied as it is stored is what loading and converting back gives. */
static void weight_rows_take_gives_what_loading_does(void **state) {
  static const esp_dtype types[] = {ESP_F32, ESP_F16, ESP_BF16, ESP_F64};
  float values[ROWS * COLS];
  (void)state;
  fill(values, ROWS * COLS);
  for (int k = 0; k < 8; k++) {
    double stored[ROWS * COLS], expected[6];
    esp_dtype_from_f32(types[k / 2], values, ROWS * COLS, stored);
    esp_model *model = new_view(stored, types[k / 2], k % 2);
    weight_rows rows;
    assert_int_equal(weight_rows_take(&model->weights[0], 1, 2, &rows), ESP_OK);
    assert_int_equal(esp_model_load_local(model, ESP_STAGE_EMBED), ESP_OK);
    esp_dtype_from_f32(types[k / 2], model->weights[0].value + 3, 6, expected);
    assert_memory_equal(rows.data, expected, 6 * esp_dtype_bytes(types[k / 2]));
    weight_rows_clear(&rows);
    esp_model_free(&model);
  }
}

static void weight_rows_take_lends_the_mapping(void **state) {
  (void)state;
  float stored[ROWS * COLS];
  fill(stored, ROWS * COLS);
  esp_model *model = new_stored(stored, ESP_F32);
  weight_rows rows;
  assert_int_equal(weight_rows_take(&model->weights[0], 2, 3, &rows), ESP_OK);
  assert_ptr_equal(rows.data, stored + 2 * COLS);
  assert_null(rows.owned);
  esp_model_free(&model);
}

static void weight_rows_take_names_what_is_not_finite(void **state) {
  (void)state;
  float stored[ROWS * COLS];
  fill(stored, ROWS * COLS);
  stored[2 * COLS + 1] = NAN;
  esp_model *model = new_stored(stored, ESP_F32);
  weight_rows rows;
  assert_int_equal(weight_rows_take(&model->weights[0], 0, 2, &rows), ESP_OK);
  assert_int_equal(weight_rows_take(&model->weights[0], 1, 2, &rows), ESP_NUMERIC);
  assert_non_null(strstr(esp_failure_text(), "element 11"));
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_model_unload_of_a_tied_head_leaves_a_loaded_embedding),
              cmocka_unit_test(esp_model_unload_of_the_embedding_leaves_it_to_a_tied_head),
              cmocka_unit_test(esp_model_unload_ends_any_number_of_loadings),
              cmocka_unit_test(esp_model_unload_of_a_tied_head_leaves_final_values),
              cmocka_unit_test(esp_model_load_uses_stored_floats_in_place),
              cmocka_unit_test(esp_model_load_applies_the_mask_to_a_copy),
              cmocka_unit_test(esp_model_load_copies_unaligned_floats),
              cmocka_unit_test(esp_model_load_converts_half_types),
              cmocka_unit_test(esp_model_load_gathers_kept_rows_and_columns),
              cmocka_unit_test(esp_model_load_gathers_kept_elements_of_a_bias),
              cmocka_unit_test(esp_model_load_gathers_along_three_axes),
              cmocka_unit_test(esp_model_load_takes_an_empty_view),
              cmocka_unit_test(esp_model_load_names_a_weight_that_is_not_finite),
              cmocka_unit_test(esp_model_load_finds_nan_of_half_types),
              cmocka_unit_test(esp_model_load_fails_again_when_asked_again),
              cmocka_unit_test(esp_model_load_ignores_nan_that_was_cut_away),
              cmocka_unit_test(esp_weight_read_rows_gives_what_loading_does),
              cmocka_unit_test(esp_model_load_embedding_finds_a_row_that_is_not_finite),
              cmocka_unit_test(esp_model_load_embedding_loads_what_is_no_table),
              cmocka_unit_test(esp_weight_own_is_zeroed_and_never_unloaded),
              cmocka_unit_test(esp_weight_own_replaces_a_loaded_value),
              cmocka_unit_test(weight_rows_take_gives_what_loading_does),
              cmocka_unit_test(weight_rows_take_lends_the_mapping),
              cmocka_unit_test(weight_rows_take_names_what_is_not_finite))
