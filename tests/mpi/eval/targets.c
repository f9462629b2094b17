/* Labels that are numbers against transformers' own losses, scores and gradients (targets.json),
 * and what is said of labels that do not fit. */
#include "gradients.h"
#include "mpi.h"

#include "espalier/eval/eval.h"
#include "espalier/flow/objective.h"
#include "espalier/io/h5.h"
#include "tape.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { VALUES = 8 };

#define FOLDER ESPALIER_TESTS "/golden/transformers/"

static int32_t *read_ints(esp_h5 *file, const char *name, esp_h5_shape *shape) {
  ASSERT_ALL(esp_h5_get_shape(file, name, shape) == ESP_OK);
  int32_t *values = ESP_NEW(int32_t, shape->dims[0] * (shape->rank > 1 ? shape->dims[1] : 1));
  ASSERT_ALL(esp_h5_read_all(file, name, values) == ESP_OK);
  return values;
}

/* A checkpoint, its reference's tokens, and the labels of targets.json. */
typedef struct example {
  json_t *all, *expected;
  esp_model *model;
  esp_dataset *data;
} example;

static void read_tokens(const char *path, esp_dataset *data) {
  esp_h5_shape shape;
  esp_h5 *file;
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  data->lengths = read_ints(file, "/lengths", &shape);
  data->types = read_ints(file, "/token_types", &shape);
  data->tokens = read_ints(file, "/tokens", &shape);
  data->kind = ESP_DATA_TOKENS;
  data->count = shape.dims[0];
  data->width = shape.dims[1];
  esp_h5_close(&file);
}

static void take_labels(const json_t *labels, esp_dataset *data) {
  const size_t n = json_array_size(labels);
  data->n_targets = (int32_t)((int64_t)n / data->count);
  data->targets = ESP_NEW(float, (int64_t)n);
  for (size_t i = 0; i < n; i++)
    data->targets[i] = (float)json_number_value(json_array_get(labels, i));
}

static example example_open(const char *name) {
  example self = {.all = json_load_file(FOLDER "targets.json", 0, NULL)};
  char *folder = esp_format(FOLDER "%s", name), *path = esp_format("%s/reference.h5", folder);
  self.expected = json_object_get(self.all, name);
  ASSERT_ALL(self.expected != NULL);
  ASSERT_ALL(esp_model_open(&test_comm, folder, &self.model) == ESP_OK);
  self.data = ESP_NEW(esp_dataset, 1);
  self.data->path = esp_strdup(path);
  read_tokens(path, self.data);
  take_labels(json_object_get(self.expected, "labels"), self.data);
  esp_free(&path);
  esp_free(&folder);
  return self;
}

static void example_close(example *self) {
  esp_dataset_close(&self->data);
  esp_model_free(&self->model);
  json_decref(self->all);
}

static double get_real(const json_t *object, const char *key) {
  return json_number_value(json_object_get(object, key));
}

static void check_quality(const char *name, esp_task task) {
  example self = example_open(name);
  esp_quality quality;
  ASSERT_ALL(self.model->task == task);
  ASSERT_ALL(esp_eval_quality(&test_comm, self.model, self.data, NULL, &quality) == ESP_OK);
  ASSERT_ALL(quality.targets == self.data->count * self.data->n_targets);
  const double score = task == ESP_TASK_REGRESS ? quality.r2 : quality.f1;
  ASSERT_ALL(fabs(quality.loss_nats - get_real(self.expected, "loss")) < 1e-5);
  ASSERT_ALL(fabs(score - get_real(self.expected, "score")) < 1e-5);
  example_close(&self);
}

static void esp_eval_quality_of_regression_is_that_of_transformers(void **state) {
  (void)state;
  check_quality("bert-regression-f32", ESP_TASK_REGRESS);
}

static void esp_eval_quality_of_several_labels_is_that_of_transformers(void **state) {
  (void)state;
  check_quality("bert-multi-label-bf16", ESP_TASK_MULTI_LABEL);
}

/* Of the summed loss; transformers' is a mean. */
static float **compute_gradients(const example *self) {
  const esp_objective *objective = esp_objective_of(self->model->task);
  esp_batch_buffer buffer = {0};
  esp_batch batch;
  esp_tape tape;
  float **gradients = gradients_new(self->model);
  esp_workspace scratch = {0};
  esp_dataset_read(self->data, NULL, 0, self->data->count, &buffer, &batch);
  esp_tape_init(&tape, self->model, batch.count * batch.width);
  esp_tape_forward(self->model, &batch, &tape);
  objective->measure(&(esp_outputs){.model = self->model,
                                    .batch = &batch,
                                    .logits = tape.logits,
                                    .dlogits = tape.dlogits,
                                    .workspace = &scratch},
                     NULL);
  esp_tape_backward(self->model, &batch, &tape, gradients);
  esp_tape_clear(&tape, self->model);
  esp_workspace_clear(&scratch);
  esp_batch_buffer_clear(&buffer);
  return gradients;
}

static double compare(const json_t *expected, const float *found, int64_t n, double targets) {
  const double range = json_number_value(json_array_get(expected, 0));
  double worst = 0.0;
  for (int64_t i = 0; i < VALUES; i++) {
    const double value = json_number_value(json_array_get(expected, (size_t)i + 1));
    worst = fmax(worst, fabs((double)found[i * n / VALUES] / targets - value) / range);
  }
  return worst;
}

static void check_gradients(const char *name) {
  example self = example_open(name);
  const double targets = (double)(self.data->count * self.data->n_targets);
  json_t *expected = json_object_get(self.expected, "gradients");
  int n_found = 0;
  ASSERT_ALL(esp_model_load_all(&test_comm, self.model) == ESP_OK);
  float **gradients = compute_gradients(&self);
  for (int w = 0; w < self.model->n_weights; w++) {
    const esp_weight *weight = &self.model->weights[w];
    const json_t *values = json_object_get(expected, weight->name);
    if (!values) continue;
    n_found++;
    ASSERT_ALL(compare(values, gradients[w], esp_weight_count(weight), targets) < 1e-4);
  }
  ASSERT_ALL(n_found == (int)json_object_size(expected));
  gradients_free(self.model, &gradients);
  example_close(&self);
}

static void gradients_are_those_of_transformers(void **state) {
  (void)state;
  check_gradients("bert-regression-f32");
  check_gradients("bert-multi-label-bf16");
}

static void check_refused(example *self, const char *part) {
  esp_quality quality;
  const esp_status status = esp_eval_quality(&test_comm, self->model, self->data, NULL, &quality);
  const bool right = status == ESP_MISMATCH && strstr(esp_failure_text(), part);
  if (!right) print_error("%d '%s' lacks '%s'\n", (int)status, esp_failure_text(), part);
  ASSERT_ALL(right);
}

static void esp_eval_quality_refuses_numbers_that_do_not_fit(void **state) {
  (void)state;
  example self = example_open("bert-multi-label-bf16");
  self.data->targets[3] = 1.5f;
  check_refused(&self, "expected labels from 0 (absent) to 1 (present)");
  self.data->n_targets = 1;
  check_refused(&self, "expected 3 numbers a sequence in /labels for this model, found 1");
  self.model->task = ESP_TASK_CLASSIFY;
  check_refused(&self, "\"problem_type\"");
  self.model->task = ESP_TASK_MASKED;
  check_refused(&self, "leave /labels out");
  example_close(&self);
}

/* 0, 1 and 5: their mean is 2, their variance 14 / 3. */
static void integers_are_numbers_where_one_is_predicted(void **state) {
  (void)state;
  static const int32_t labels[3] = {0, 1, 5};
  example self = example_open("bert-regression-f32");
  esp_quality numbers, classes;
  memcpy(self.data->targets, (const float[3]){0.0f, 1.0f, 5.0f}, 3 * sizeof(float));
  ASSERT_ALL(esp_eval_quality(&test_comm, self.model, self.data, NULL, &numbers) == ESP_OK);
  ASSERT_ALL(fabs(esp_targets_compute_variance(self.data) - 14.0 / 3.0) < 1e-12);
  esp_free(&self.data->targets);
  self.data->n_targets = 0;
  self.data->labels = ESP_NEW(int32_t, 3);
  self.data->classes = 6;
  memcpy(self.data->labels, labels, sizeof labels);
  ASSERT_ALL(esp_eval_quality(&test_comm, self.model, self.data, NULL, &classes) == ESP_OK);
  ASSERT_ALL(numbers.loss_nats == classes.loss_nats && numbers.r2 == classes.r2);
  example_close(&self);
}

/* The unit of the sums goes with the labels. */
static void losses_of_any_size_are_kept(void **state) {
  (void)state;
  example self = example_open("bert-regression-f32");
  for (int i = 0; i < 3; i++) self.data->targets[i] *= 1e9f;
  esp_quality quality;
  double expected = 0.0;
  for (int i = 0; i < 3; i++) expected += pow((double)self.data->targets[i], 2.0) / 3.0;
  ASSERT_ALL(esp_eval_quality(&test_comm, self.model, self.data, NULL, &quality) == ESP_OK);
  ASSERT_ALL(fabs(quality.loss_nats / expected - 1.0) < 1e-5);
  example_close(&self);
}

static void r2_of_labels_that_are_all_one_is_not_defined(void **state) {
  (void)state;
  example self = example_open("bert-regression-f32");
  for (int i = 0; i < 3; i++) self.data->targets[i] = 2.0f;
  esp_quality quality;
  ASSERT_ALL(esp_eval_quality(&test_comm, self.model, self.data, NULL, &quality) == ESP_OK);
  ASSERT_ALL(isnan(quality.r2) && quality.loss_nats > 0.0);
  example_close(&self);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_eval_quality_of_regression_is_that_of_transformers),
              cmocka_unit_test(esp_eval_quality_of_several_labels_is_that_of_transformers),
              cmocka_unit_test(gradients_are_those_of_transformers),
              cmocka_unit_test(esp_eval_quality_refuses_numbers_that_do_not_fit),
              cmocka_unit_test(integers_are_numbers_where_one_is_predicted),
              cmocka_unit_test(losses_of_any_size_are_kept),
              cmocka_unit_test(r2_of_labels_that_are_all_one_is_not_defined))
