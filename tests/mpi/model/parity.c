/* Every family and option against what transformers computes from the same checkpoint in float32.
 */
#include "checkpoints.h"
#include "mpi.h"

#include "espalier/io/h5.h"
#include "espalier/model/forward.h"

#include <math.h>
#include <string.h>

typedef struct reference {
  esp_h5 *file;
  int32_t *tokens, *lengths, *types; // (N, T), (N) or NULL, (N, T) or NULL
  int64_t count, length;
  float *outputs; // (N, T, n) or (N, n)
  bool is_by_row; // the first of them
  int64_t n;
} reference;

static void *read_values(esp_h5 *file, const char *name, esp_h5_shape *shape) {
  int64_t count = 1;
  if (!esp_h5_has(file, name)) return NULL;
  assert_int_equal(esp_h5_get_shape(file, name, shape), ESP_OK);
  for (int d = 0; d < shape->rank; d++) count *= shape->dims[d];
  void *values = esp_alloc(count, esp_dtype_bytes(shape->type));
  assert_int_equal(esp_h5_read_all(file, name, values), ESP_OK);
  return values;
}

static int32_t *read_ints(esp_h5 *file, const char *name, esp_h5_shape *shape) {
  int32_t *values = read_values(file, name, shape);
  if (values) assert_int_equal(shape->type, ESP_I32);
  return values;
}

static reference reference_open(const char *folder) {
  reference self = {0};
  esp_h5_shape shape;
  char *path = esp_format("%s/reference.h5", folder);
  assert_int_equal(esp_h5_open(&test_comm, path, &self.file), ESP_OK);
  self.lengths = read_ints(self.file, "/lengths", &shape);
  self.types = read_ints(self.file, "/token_types", &shape);
  self.tokens = read_ints(self.file, "/tokens", &shape);
  self.count = shape.dims[0];
  self.length = shape.dims[1];
  const bool is_embedding = esp_h5_has(self.file, "/embeddings");
  self.outputs = read_values(self.file, is_embedding ? "/embeddings" : "/logits", &shape);
  assert_int_equal(shape.type, ESP_F32);
  assert_int_equal(shape.dims[0], self.count);
  self.is_by_row = shape.rank == 3;
  self.n = shape.dims[shape.rank - 1];
  esp_free(&path);
  return self;
}

static void reference_close(reference *self) {
  esp_free(&self->tokens);
  esp_free(&self->lengths);
  esp_free(&self->types);
  esp_free(&self->outputs);
  esp_h5_close(&self->file);
}

/* Rows of the outputs that mean something, of sequence i. */
static int64_t count_valid(const reference *self, int64_t i) {
  if (!self->is_by_row) return 1;
  return self->lengths ? self->lengths[i] : self->length;
}

/* Largest difference, relative to the range of the reference. */
static double compare(const reference *self, const float *found) {
  const int64_t rows = self->is_by_row ? self->length : 1;
  double low = INFINITY, high = -INFINITY, worst = 0.0;
  for (int64_t i = 0; i < self->count; i++)
    for (int64_t j = 0; j < count_valid(self, i) * self->n; j++) {
      const double expected = (double)self->outputs[i * rows * self->n + j];
      const double difference = fabs((double)found[i * rows * self->n + j] - expected);
      low = fmin(low, expected);
      high = fmax(high, expected);
      if (!(difference <= worst)) worst = isnan(difference) ? INFINITY : difference;
    }
  return worst / (high - low);
}

static void forward_agrees_with_transformers(void **state) {
  const char *folder = *state;
  esp_model *model = NULL;
  esp_pass pass;
  reference expected = reference_open(folder);
  if (esp_model_open(&test_comm, folder, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  assert_int_equal(esp_model_load_all(&test_comm, model), ESP_OK);
  assert_int_equal(model->n_outputs, expected.n);
  esp_pass_init(&pass, model, expected.count * expected.length);
  esp_forward(model,
              &(esp_batch){.kind = ESP_DATA_TOKENS,
                           .count = expected.count,
                           .width = expected.length,
                           .tokens = expected.tokens,
                           .lengths = expected.lengths,
                           .types = expected.types},
              &pass);
  const double worst = compare(&expected, pass.logits);
  print_message("%.1e  ", worst);
  assert_true(worst < 1e-5);
  esp_pass_clear(&pass);
  esp_model_free(&model);
  reference_close(&expected);
}

ESP_TEST_MAIN(CHECKPOINT_TESTS(forward_agrees_with_transformers))
