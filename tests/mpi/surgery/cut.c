#include "espalier/surgery/cut.h"

#include "espalier/model/forward.h"
#include "mpi.h"
#include "small.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 20, WIDTH = 5, OUTPUTS = 3 };
static const int64_t sizes[] = {WIDTH, 8, 7, OUTPUTS};

static void keep(esp_selection *selection, int stage, const int64_t *units, int64_t n) {
  selection->n_kept[stage] = n;
  selection->kept[stage] = ESP_NEW(int64_t, n);
  if (n > 0) memcpy(selection->kept[stage], units, (size_t)n * sizeof *units);
}

static void keep_all(esp_selection *selection, const esp_model *model) {
  static const int64_t all[] = {0, 1, 2, 3, 4, 5, 6, 7};
  for (int i = 0; i < model->n_stages; i++) keep(selection, i, all, model->stages[i].units);
}

/* A model from a file of weights in one type, its cut, and data. */
typedef struct bench {
  esp_model *dense, *pruned;
  esp_selection selection;
  esp_dataset *data;
} bench;

static esp_model *open_typed(esp_dtype type) {
  esp_model *made = small_model_new("relu", sizes, 4, 9), *model = NULL;
  for (int i = 0; i < made->n_weights; i++) made->weights[i].type = type;
  ESP_ASSERT(small_model_save(&test_comm, made, test_path("typed.h5")) == ESP_OK);
  ESP_ASSERT(esp_model_open(&test_comm, test_path("typed.h5"), &model) == ESP_OK);
  esp_model_free(&made);
  return model;
}

static bench open_bench(esp_dtype type) {
  bench self = {.dense = open_typed(type), .data = small_dataset_new(SAMPLES, WIDTH, 9)};
  esp_selection_init(&self.selection, self.dense->n_stages);
  return self;
}

static void cut_and_load(bench *self) {
  ESP_ASSERT(esp_model_cut(self->dense, &self->selection, &self->pruned) == ESP_OK);
  ESP_ASSERT(esp_model_load_all(&test_comm, self->dense) == ESP_OK);
  ESP_ASSERT(esp_model_load_all(&test_comm, self->pruned) == ESP_OK);
}

static void close_bench(bench *self) {
  esp_dataset_close(&self->data);
  esp_selection_clear(&self->selection);
  esp_model_free(&self->pruned);
  esp_model_free(&self->dense);
}

static void compute_logits(const esp_model *model, const esp_dataset *data, float *logits) {
  esp_batch_buffer buffer = {0};
  esp_batch batch;
  esp_pass pass;
  esp_pass_init(&pass, model, data->count);
  esp_dataset_read(data, NULL, 0, data->count, &buffer, &batch);
  esp_forward(model, &batch, &pass);
  memcpy(logits, pass.logits, (size_t)(data->count * OUTPUTS) * sizeof *logits);
  esp_pass_clear(&pass);
  esp_batch_buffer_clear(&buffer);
}

/* Largest difference of the cut model's logits from the dense ones without the removed activations.
 */
static double compare_with_masked(const bench *self) {
  bool masks[2][8] = {{false}};
  const bool *kept[] = {masks[0], masks[1]};
  double expected[SAMPLES * OUTPUTS], worst = 0;
  float found[SAMPLES * OUTPUTS];
  for (int i = 0; i < 2; i++)
    for (int64_t k = 0; k < self->selection.n_kept[i]; k++)
      masks[i][self->selection.kept[i][k]] = true;
  small_forward(self->dense, self->data, 2, kept, expected);
  compute_logits(self->pruned, self->data, found);
  for (int i = 0; i < SAMPLES * OUTPUTS; i++) worst = fmax(worst, fabs(found[i] - expected[i]));
  return worst;
}

static void model_cut_is_the_dense_model_without_the_removed_activations(void **state) {
  (void)state;
  const int64_t lower[] = {0, 2, 3, 7}, upper[] = {1, 4, 6};
  bench self = open_bench(ESP_F32);
  keep(&self.selection, 0, lower, 4);
  keep(&self.selection, 1, upper, 3);
  cut_and_load(&self);
  ASSERT_ALL(compare_with_masked(&self) < 1e-5);
  ASSERT_ALL(self.pruned->weights[2].shape[0] == 3 && self.pruned->weights[2].shape[1] == 4);
  ASSERT_ALL(self.pruned->stages[0].units == 4 && self.pruned->stages[1].units == 3);
  close_bench(&self);
}

static void model_cut_of_one_site_leaves_the_others(void **state) {
  (void)state;
  const int64_t upper[] = {5};
  for (int stage = 0; stage < 2; stage++) {
    bench self = open_bench(ESP_F32);
    keep_all(&self.selection, self.dense);
    esp_free(&self.selection.kept[stage]);
    keep(&self.selection, stage, upper, 1);
    cut_and_load(&self);
    ASSERT_ALL(compare_with_masked(&self) < 1e-5);
    ASSERT_ALL(self.pruned->stages[1 - stage].units == self.dense->stages[1 - stage].units);
    close_bench(&self);
  }
}

static void model_cut_that_keeps_all_has_the_same_bits(void **state) {
  (void)state;
  float dense[SAMPLES * OUTPUTS], pruned[SAMPLES * OUTPUTS];
  bench self = open_bench(ESP_F32);
  keep_all(&self.selection, self.dense);
  cut_and_load(&self);
  compute_logits(self.dense, self.data, dense);
  compute_logits(self.pruned, self.data, pruned);
  ASSERT_ALL(memcmp(dense, pruned, sizeof dense) == 0 && dense[0] != dense[1]);
  ASSERT_ALL(json_equal(self.dense->config, self.pruned->config));
  close_bench(&self);
}

static void model_cut_keeps_the_weights_type(void **state) {
  (void)state;
  const int64_t lower[] = {1, 2, 6}, upper[] = {0, 3, 4, 5};
  const esp_dtype types[] = {ESP_BF16, ESP_F16};
  for (unsigned t = 0; t < ESP_COUNT(types); t++) {
    bench self = open_bench(types[t]);
    keep(&self.selection, 0, lower, 3);
    keep(&self.selection, 1, upper, 4);
    cut_and_load(&self);
    ASSERT_ALL(self.pruned->weights[2].type == types[t]);
    ASSERT_ALL(compare_with_masked(&self) < 1e-5);
    close_bench(&self);
  }
}

static void model_cut_writes_what_it_computes(void **state) {
  (void)state;
  const int64_t lower[] = {0, 7}, upper[] = {2, 3};
  float before[SAMPLES * OUTPUTS], after[SAMPLES * OUTPUTS];
  esp_model *read = NULL;
  bench self = open_bench(ESP_F32);
  keep(&self.selection, 0, lower, 2);
  keep(&self.selection, 1, upper, 2);
  cut_and_load(&self);
  compute_logits(self.pruned, self.data, before);
  ASSERT_ALL(small_model_save(&test_comm, self.pruned, test_path("cut.h5")) == ESP_OK);
  ASSERT_ALL(esp_model_open(&test_comm, test_path("cut.h5"), &read) == ESP_OK);
  ASSERT_ALL(esp_model_load_all(&test_comm, read) == ESP_OK);
  compute_logits(read, self.data, after);
  ASSERT_ALL(memcmp(before, after, sizeof before) == 0);
  esp_model_free(&read);
  close_bench(&self);
}

static void model_cut_to_no_unit_is_format(void **state) {
  (void)state;
  bench self = open_bench(ESP_F32);
  keep_all(&self.selection, self.dense);
  esp_free(&self.selection.kept[1]);
  keep(&self.selection, 1, NULL, 0);
  const esp_status status = esp_model_cut(self.dense, &self.selection, &self.pruned);
  ASSERT_ALL(status == ESP_FORMAT && strstr(esp_failure_text(), "layer_sizes") && !self.pruned);
  close_bench(&self);
}

static void model_cut_with_other_counts_than_the_lists_is_format(void **state) {
  (void)state;
  bench self = open_bench(ESP_F32);
  keep_all(&self.selection, self.dense);
  esp_free(&self.selection.kept[1]);
  self.selection.n_kept[1] = 5; // asked for, but no list: all stay
  const esp_status status = esp_model_cut(self.dense, &self.selection, &self.pruned);
  ASSERT_ALL(status == ESP_FORMAT && strstr(esp_failure_text(), "'layers.1.weight' keeps 7"));
  ASSERT_ALL(!self.pruned);
  close_bench(&self);
}

static void selection_indices_lists_rows_and_columns_that_stay(void **state) {
  (void)state;
  const int64_t lower[] = {1, 4};
  bench self = open_bench(ESP_F32);
  keep(&self.selection, 0, lower, 2);
  int64_t n[4], *rows = esp_selection_indices(&self.selection, self.dense, 0, 0, &n[0]);
  int64_t *biases = esp_selection_indices(&self.selection, self.dense, 1, 0, &n[1]);
  int64_t *columns = esp_selection_indices(&self.selection, self.dense, 2, 1, &n[2]);
  int64_t *undecided = esp_selection_indices(&self.selection, self.dense, 2, 0, &n[3]);
  ASSERT_ALL(n[0] == 2 && n[1] == 2 && n[2] == 2 && n[3] == 7);
  ASSERT_ALL(rows[0] == 1 && rows[1] == 4 && memcmp(biases, rows, 2 * sizeof *rows) == 0);
  ASSERT_ALL(memcmp(columns, rows, 2 * sizeof *rows) == 0 && undecided[6] == 6);
  esp_free(&rows);
  esp_free(&biases);
  esp_free(&columns);
  esp_free(&undecided);
  close_bench(&self);
}

static void selection_indices_of_an_axis_without_a_site_is_null(void **state) {
  (void)state;
  int64_t n = 0;
  bench self = open_bench(ESP_F32);
  keep_all(&self.selection, self.dense);
  ASSERT_ALL(!esp_selection_indices(&self.selection, self.dense, 0, 1, &n) && n == WIDTH);
  ASSERT_ALL(!esp_selection_indices(&self.selection, self.dense, 4, 0, &n) && n == OUTPUTS);
  close_bench(&self);
}

static void selection_features_are_a_unit_s_width_each(void **state) {
  (void)state;
  const int64_t units[] = {0, 2}, expected[] = {0, 1, 2, 6, 7, 8};
  const esp_stage stage = {.units = 4, .width = 3};
  int64_t features[12];
  esp_selection selection;
  esp_selection_init(&selection, 1);
  keep(&selection, 0, units, 2);
  ASSERT_ALL(esp_selection_features(&selection, &stage, 0, features) == 6);
  ASSERT_ALL(memcmp(features, expected, sizeof expected) == 0);
  esp_selection_clear(&selection);
}

ESP_TEST_MAIN(cmocka_unit_test(model_cut_is_the_dense_model_without_the_removed_activations),
              cmocka_unit_test(model_cut_of_one_site_leaves_the_others),
              cmocka_unit_test(model_cut_that_keeps_all_has_the_same_bits),
              cmocka_unit_test(model_cut_keeps_the_weights_type),
              cmocka_unit_test(model_cut_writes_what_it_computes),
              cmocka_unit_test(model_cut_to_no_unit_is_format),
              cmocka_unit_test(model_cut_with_other_counts_than_the_lists_is_format),
              cmocka_unit_test(selection_indices_lists_rows_and_columns_that_stay),
              cmocka_unit_test(selection_indices_of_an_axis_without_a_site_is_null),
              cmocka_unit_test(selection_features_are_a_unit_s_width_each))
