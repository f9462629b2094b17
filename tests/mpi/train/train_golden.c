/* Training against what PyTorch's optimisers make of the same runs (golden/training). */
#include "mpi.h"

#include "espalier/train/train.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char folder[] = ESPALIER_TESTS "/golden/training/";
enum { MOST_SPECIAL = 8 };

/* A case of reference.json, opened. */
typedef struct example {
  const json_t *row, *options;
  esp_model *model, *teacher;
  esp_dataset *data;
  esp_train_options how;
  esp_masking masking;
  int32_t special[MOST_SPECIAL];
  float **before; // (n_weights) values as read
} example;

static const char *get_text(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static double get_real(const json_t *object, const char *key) {
  return json_number_value(json_object_get(object, key));
}

static int64_t get_int(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static esp_model *open_model(const char *name) {
  esp_model *model = NULL;
  char *path = esp_format("%s/golden/transformers/%s", ESPALIER_TESTS, name);
  if (esp_model_open(&test_comm, path, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  esp_free(&path);
  return model;
}

static char *copy_text(const json_t *options, const char *key) {
  return esp_strdup(get_text(options, key));
}

static void read_options(example *self) {
  const json_t *from = self->options;
  self->how = (esp_train_options){.steps = get_int(from, "steps"),
                                  .batch = get_int(from, "batch"),
                                  .micro_batch = get_int(from, "micro_batch"),
                                  .optimizer = copy_text(from, "optimizer"),
                                  .schedule = copy_text(from, "schedule"),
                                  .gradients = esp_strdup("exact"),
                                  .trainable = copy_text(from, "trainable"),
                                  .rate = get_real(from, "rate"),
                                  .warmup = get_real(from, "warmup"),
                                  .weight_decay = get_real(from, "weight_decay"),
                                  .momentum = get_real(from, "momentum"),
                                  .beta2 = 0.999,
                                  .clip = get_real(from, "clip"),
                                  .temperature = get_real(from, "temperature"),
                                  .mix = get_real(from, "mix"),
                                  .evaluate_every = 1};
}

static void read_masking(example *self) {
  const json_t *special = json_object_get(self->options, "special");
  self->masking = (esp_masking){.rate = get_real(self->options, "mask_rate"),
                                .token = (int32_t)get_int(self->options, "mask_token"),
                                .vocabulary = get_int(self->options, "vocabulary"),
                                .special = self->special,
                                .n_special = (int)json_array_size(special),
                                .seed = (uint64_t)get_int(self->options, "seed")};
  for (int i = 0; i < self->masking.n_special; i++)
    self->special[i] = (int32_t)json_integer_value(json_array_get(special, (size_t)i));
}

static void copy_weights(example *self) {
  const esp_model *model = self->model;
  assert_int_equal(esp_model_load_all(&test_comm, self->model), ESP_OK);
  self->before = ESP_NEW(float *, model->n_weights);
  for (int w = 0; w < model->n_weights; w++) {
    const int64_t n = esp_weight_count(&model->weights[w]);
    self->before[w] = ESP_NEW(float, n);
    memcpy(self->before[w], model->weights[w].value, (size_t)n * sizeof(float));
  }
  esp_model_unload_all(self->model);
}

static example open_example(const json_t *row) {
  example self = {.row = row, .options = json_object_get(row, "options")};
  const char *name = get_text(row, "model"), *teacher = get_text(row, "teacher");
  char *path = esp_format("%s%s.h5", folder, strncmp(name, "bert", 4) ? "tokens" : "token_types");
  assert_int_equal(esp_dataset_open(&test_comm, path, "train", &self.data), ESP_OK);
  esp_free(&path);
  self.model = open_model(name);
  if (teacher) self.teacher = open_model(teacher);
  read_options(&self);
  copy_weights(&self);
  return self;
}

static void close_example(example *self) {
  for (int w = 0; w < self->model->n_weights; w++) esp_free(&self->before[w]);
  esp_free(&self->before);
  esp_free(&self->how.optimizer);
  esp_free(&self->how.schedule);
  esp_free(&self->how.gradients);
  esp_free(&self->how.trainable);
  esp_model_free(&self->model);
  esp_model_free(&self->teacher);
  esp_dataset_close(&self->data);
}

static esp_status train(example *self, int64_t stop_after, esp_train_report *report) {
  read_masking(self);
  self->how.stop_after = stop_after;
  const bool is_masked = self->model->task == ESP_TASK_MASKED;
  return esp_train(&test_comm,
                   &(esp_train_request){.model = self->model,
                                        .teacher = self->teacher,
                                        .data = self->data,
                                        .options = &self->how,
                                        .masking = is_masked ? &self->masking : NULL,
                                        .seed = (uint64_t)get_int(self->options, "seed"),
                                        .save_every_s = 1e9},
                   report);
}

/* Checkpoints may lack the prefix of names. */
static const json_t *find_expected(const example *self, int w) {
  const json_t *all = json_object_get(self->row, "first");
  char *full = esp_format("%s%s", self->model->prefix, self->model->weights[w].name);
  const json_t *found = json_object_get(all, self->model->weights[w].name);
  if (!found) found = json_object_get(all, full);
  esp_free(&full);
  return found;
}

static double get_update(const example *self, int w, int64_t i) {
  return (double)self->model->weights[w].value[i] - (double)self->before[w][i];
}

/* The largest difference of an update, in parts of what is allowed: 1e-5 of the range, and the last
 * bit of the weight, in which an update ends. */
static double compare_updates(const example *self, int w, const json_t *expected) {
  const json_t *at = json_object_get(expected, "at"), *update = json_object_get(expected, "update");
  double worst = 0.0;
  for (size_t k = 0; k < json_array_size(at); k++) {
    const int64_t i = json_integer_value(json_array_get(at, k));
    const double wanted = json_number_value(json_array_get(update, k));
    const double bit = 0x1p-23 * fabs((double)self->before[w][i]);
    const double difference = fabs(get_update(self, w, i) - wanted);
    worst = fmax(worst, difference / (1e-5 * get_real(expected, "range") + bit));
  }
  return worst;
}

/* Of the whole weight, where it is known: within 1e-4. */
static double compare_norm(const example *self, int w, const json_t *expected) {
  const double norm = get_real(expected, "norm");
  double sum = 0.0;
  if (norm == 0.0) return 0.0;
  for (int64_t i = 0; i < esp_weight_count(&self->model->weights[w]); i++)
    sum += get_update(self, w, i) * get_update(self, w, i);
  return fabs(sqrt(sum) - norm) / (1e-4 * norm);
}

static int64_t count_trained(const esp_model *model) {
  int64_t n = 0;
  for (int w = 0; w < model->n_weights; w++) n += model->weights[w].is_final;
  return n;
}

/* The largest difference over the weights that PyTorch has updates of, all of which train. */
static double compare_weights(const example *self) {
  size_t compared = 0;
  double worst = 0.0;
  for (int w = 0; w < self->model->n_weights; w++) {
    const json_t *expected = find_expected(self, w);
    if (!expected || !self->model->weights[w].is_final) continue;
    compared++;
    const double found = fmax(compare_updates(self, w, expected), compare_norm(self, w, expected));
    if (found > 1.0) print_message("%s: %.2g\n", self->model->weights[w].name, found);
    worst = fmax(worst, found);
  }
  const size_t wanted = json_object_size(json_object_get(self->row, "first"));
  return compared == wanted && wanted > 0 ? worst : INFINITY;
}

static void check_first_step(example *self) {
  esp_train_report report;
  ASSERT_ALL(train(self, 1, &report) == ESP_INTERRUPTED);
  const double worst = compare_weights(self);
  print_message("first step: %.2g of what is allowed; ", worst);
  ASSERT_ALL(worst < 1.0);
  ASSERT_ALL(count_trained(self->model) == get_int(self->row, "n_reached"));
}

static double compare(const json_t *expected, int step, double found) {
  return fabs(found - json_number_value(json_array_get(expected, (size_t)step)));
}

/* Losses to 1e-4 nats, norms before clipping to 1e-3 of their own. */
static void check_losses(example *self) {
  esp_train_report report;
  double loss = 0.0, norm = 0.0;
  ASSERT_ALL(train(self, 0, &report) == ESP_OK);
  ASSERT_ALL(report.n_points == get_int(self->options, "steps"));
  for (int i = 0; i < report.n_points; i++) {
    const esp_train_point *at = &report.points[i];
    loss = fmax(loss, compare(json_object_get(self->row, "losses"), i, at->loss));
    norm = fmax(norm, compare(json_object_get(self->row, "norms"), i, at->norm) / at->norm);
  }
  print_message("losses: %.2g, norms: %.2g\n", loss, norm);
  ASSERT_ALL(loss < 1e-4 && norm < 1e-3);
  esp_train_report_clear(&report);
}

static void check(const char *name) {
  json_t *all = json_load_file(ESPALIER_TESTS "/golden/training/reference.json", 0, NULL);
  int n = 0;
  for (size_t i = 0; i < json_array_size(all); i++) {
    const json_t *row = json_array_get(all, i);
    if (strncmp(get_text(row, "model"), name, strlen(name)) != 0) continue;
    n++;
    example self = open_example(row);
    print_message("%s, %s: ", name, self.how.optimizer);
    check_first_step(&self);
    close_example(&self);
    self = open_example(row);
    check_losses(&self);
    close_example(&self);
  }
  ASSERT_ALL(n >= 2);
  json_decref(all);
}

static void esp_train_steps_as_pytorch(void **state) {
  check(*state);
}

#define CASE(name) \
  { name, esp_train_steps_as_pytorch, NULL, NULL, (void *)(uintptr_t)name }

ESP_TEST_MAIN(CASE("llama"), CASE("qwen3"), CASE("gpt2"), CASE("bert-mlm"), CASE("bert-classifier"),
              CASE("bert-encoder"))
