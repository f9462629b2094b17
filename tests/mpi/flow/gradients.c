/* The backward pass of every family and option against what PyTorch finds (gradients.json). */
#include "gradients.h"
#include "checkpoints.h"
#include "mpi.h"

#include "espalier/io/h5.h"
#include "tape.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { VALUES = 8 };

/* Of a checkpoint's reference: (N, T), (N) or NULL, (N, T) or NULL. */
static int32_t *read_ints(esp_h5 *file, const char *name, esp_h5_shape *shape) {
  if (!esp_h5_has(file, name)) return NULL;
  assert_int_equal(esp_h5_get_shape(file, name, shape), ESP_OK);
  int32_t *values = ESP_NEW(int32_t, shape->dims[0] * (shape->rank > 1 ? shape->dims[1] : 1));
  assert_int_equal(esp_h5_read_all(file, name, values), ESP_OK);
  return values;
}

static esp_batch read_batch(const char *folder) {
  esp_h5_shape shape;
  esp_h5 *file;
  char *path = esp_format("%s/reference.h5", folder);
  assert_int_equal(esp_h5_open(&test_comm, path, &file), ESP_OK);
  esp_batch batch = {.kind = ESP_DATA_TOKENS};
  batch.lengths = read_ints(file, "/lengths", &shape);
  batch.types = read_ints(file, "/token_types", &shape);
  batch.tokens = read_ints(file, "/tokens", &shape);
  batch.count = shape.dims[0];
  batch.width = shape.dims[1];
  esp_h5_close(&file);
  esp_free(&path);
  return batch;
}

static void batch_clear(esp_batch *batch) {
  esp_release((void *)(uintptr_t)batch->tokens);
  esp_release((void *)(uintptr_t)batch->types);
  esp_release((void *)(uintptr_t)batch->lengths);
}

/* d[i] = sin(i mod 1009), 0 behind a sequence's length. */
static void set_dlogits(const esp_model *model, const esp_batch *batch, float *dlogits) {
  const int64_t rows = esp_batch_count_outputs(model, batch), n = model->n_outputs;
  const int64_t per_sequence = rows / batch->count;
  for (int64_t r = 0; r < rows; r++) {
    const bool is_valid =
        per_sequence == 1 || !batch->lengths || r % per_sequence < batch->lengths[r / per_sequence];
    for (int64_t i = 0; i < n; i++)
      dlogits[r * n + i] = is_valid ? (float)sin((double)((r * n + i) % 1009)) : 0.0f;
  }
}

static void run(const esp_model *model, const esp_batch *batch, float *const *gradients) {
  esp_tape tape;
  esp_tape_init(&tape, model, batch->count * batch->width);
  esp_tape_forward(model, batch, &tape);
  set_dlogits(model, batch, tape.dlogits);
  esp_tape_backward(model, batch, &tape, gradients);
  esp_tape_clear(&tape, model);
}

/* Gradients of keys' biases are 0 but for rounding, which differs between BLAS kernels: a softmax
 * does not see what is added to all its inputs. */
static bool is_zero(const char *name) {
  return strstr(name, "key.bias") != NULL;
}

/* Small gradients round like the large ones, so that a range is at least this. */
static double find_least_range(json_t *expected) {
  const char *name;
  json_t *values;
  double largest = 0.0;
  json_object_foreach(expected, name, values) largest =
      fmax(largest, json_number_value(json_array_get(values, 0)));
  return 1e-3 * largest;
}

/* Largest difference relative to the range; a weight that PyTorch does not reach has no gradient.
 */
static double compare(const json_t *expected, const esp_weight *weight, double least,
                      const float *found) {
  const int64_t n = esp_weight_count(weight);
  double largest = 0.0, worst = 0.0;
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)found[i]));
  if (!expected) return largest;
  const double range = json_number_value(json_array_get(expected, 0));
  for (int64_t i = 0; i < VALUES; i++) {
    const double value = json_number_value(json_array_get(expected, (size_t)i + 1));
    const double difference = fabs((double)found[i * n / VALUES] - value);
    if (!(difference <= worst)) worst = isnan(difference) ? INFINITY : difference;
  }
  return fmax(worst, fabs(largest - range)) / fmax(range, least);
}

/* Checkpoints may lack the prefix of names. */
static const json_t *find_expected(const json_t *all, const esp_model *model, const char *name) {
  char *full = esp_format("%s%s", model->prefix, name);
  const json_t *found = json_object_get(all, name);
  if (!found) found = json_object_get(all, full);
  esp_free(&full);
  return found;
}

static void check(const char *folder, const char *name) {
  esp_model *model = NULL;
  esp_batch batch = read_batch(folder);
  json_t *all = json_load_file(ESPALIER_TESTS "/golden/transformers/gradients.json", 0, NULL);
  json_t *expected = json_object_get(all, name);
  assert_non_null(expected);
  if (esp_model_open(&test_comm, folder, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  assert_int_equal(esp_model_load_all(&test_comm, model), ESP_OK);
  float **gradients = gradients_new(model);
  run(model, &batch, gradients);
  const double least = find_least_range(expected);
  double worst = 0.0;
  for (int w = 0; w < model->n_weights; w++) {
    const esp_weight *weight = &model->weights[w];
    const double found = compare(find_expected(expected, model, weight->name), weight,
                                 is_zero(weight->name) ? 10.0 * least : least, gradients[w]);
    if (found > 1e-4) print_message("%s: %.1e\n", weight->name, found);
    worst = fmax(worst, found);
  }
  print_message("%.1e  ", worst);
  assert_true(worst < 1e-4);
  gradients_free(model, &gradients);
  esp_model_free(&model);
  batch_clear(&batch);
  json_decref(all);
}

static void backward_agrees_with_pytorch(void **state) {
  const char *folder = *state;
  check(folder, strrchr(folder, '/') + 1);
}

ESP_TEST_MAIN(CHECKPOINT_TESTS(backward_agrees_with_pytorch))
