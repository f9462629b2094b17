#include "token_column.h"

#include "espalier/core/memory.h"

#include <math.h>

static const char name[] = "/labels";

static esp_status fail_shape(const token_reader *self, const esp_h5_shape *shape) {
  char *found = esp_dims_format(shape->rank, shape->dims);
  const esp_status status =
      esp_fail(ESP_FORMAT,
               "%s: /labels: shape (%lld), or (%lld, labels), is expected beside these /tokens, "
               "found %s",
               self->path, (long long)self->dims[0], (long long)self->dims[0], found);
  esp_free(&found);
  return status;
}

/* Integers that can be the numbers of classes. */
static bool are_classes(const int64_t *values, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (values[i] < 0) return false;
  return true;
}

static esp_status check_size(const token_reader *self, const int64_t *values, int64_t count,
                             int64_t columns) {
  for (int64_t i = 0; i < count; i++)
    if (values[i] >= INT32_MAX || values[i] <= INT32_MIN)
      return esp_fail(ESP_FORMAT,
                      "%s: /labels: integers of 32 bits are expected, found %lld%s in row %lld",
                      self->path, (long long)values[i], values[i] == INT64_MAX ? " or more" : "",
                      (long long)(i / columns));
  return ESP_OK;
}

static void take_classes(const int64_t *words, int64_t count, esp_dataset *dataset) {
  dataset->labels = ESP_NEW(int32_t, count);
  for (int64_t i = 0; i < count; i++) dataset->labels[i] = (int32_t)words[i];
}

static esp_status read_integers(const token_reader *self, const esp_h5_numbers *numbers,
                                int64_t columns, esp_dataset *dataset) {
  const int64_t count = self->dims[0] * columns;
  int64_t *words = ESP_NEW(int64_t, count);
  esp_status status = token_integers_read(self, name, numbers, words);
  if (status == ESP_OK) status = check_size(self, words, count, columns);
  if (status == ESP_OK && columns == 1 && are_classes(words, count)) {
    take_classes(words, count, dataset);
  } else if (status == ESP_OK) {
    dataset->n_targets = (int32_t)columns;
    dataset->targets = ESP_NEW(float, count);
    for (int64_t i = 0; i < count; i++) dataset->targets[i] = (float)words[i];
  }
  esp_free(&words);
  return status;
}

static esp_status take_targets(const token_reader *self, const double *values, int64_t count,
                               esp_dataset *dataset) {
  dataset->targets = ESP_NEW(float, count);
  for (int64_t i = 0; i < count; i++) {
    dataset->targets[i] = (float)values[i];
    if (!isfinite(dataset->targets[i]))
      return esp_fail(ESP_FORMAT, "%s: /labels: finite numbers are expected, found %g in row %lld",
                      self->path, values[i], (long long)(i / dataset->n_targets));
  }
  return ESP_OK;
}

static esp_status read_floats(const token_reader *self, const esp_h5_numbers *numbers,
                              int64_t columns, esp_dataset *dataset) {
  const int64_t count = self->dims[0] * columns;
  double *values = ESP_NEW(double, count);
  dataset->n_targets = (int32_t)columns;
  esp_status status = esp_h5_read_converted(self->file, name, numbers, ESP_F64, values);
  if (status == ESP_OK) status = take_targets(self, values, count, dataset);
  esp_free(&values);
  return status;
}

esp_status token_labels_read(const token_reader *self, esp_dataset *dataset) {
  esp_h5_numbers numbers;
  if (!esp_h5_has_local(self->file, name)) return ESP_OK;
  ESP_TRY(esp_h5_get_numbers_local(self->file, name, &numbers));
  const esp_h5_shape *shape = &numbers.shape;
  const int64_t columns = shape->rank == 2 ? shape->dims[1] : 1;
  if (shape->rank < 1 || shape->rank > 2 || shape->dims[0] != self->dims[0] || columns < 1 ||
      columns >= INT32_MAX)
    return fail_shape(self, shape);
  if (numbers.kind == ESP_H5_INTEGERS) return read_integers(self, &numbers, columns, dataset);
  if (numbers.kind == ESP_H5_FLOATS) return read_floats(self, &numbers, columns, dataset);
  return esp_fail(ESP_FORMAT,
                  "%s: /labels: integers or floating point are expected, found %s; write the "
                  "numbers of the classes",
                  self->path, numbers.type);
}
