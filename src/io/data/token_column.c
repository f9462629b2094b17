#include "token_column.h"

#include "espalier/core/memory.h"

#include <string.h>

static int64_t count_values(const token_reader *self, int rank) {
  return self->dims[0] * (rank == 2 ? self->dims[1] : 1);
}

static esp_status check_shape(const token_reader *self, const token_column *what,
                              const esp_h5_shape *shape) {
  bool same = shape->rank == what->rank;
  for (int d = 0; same && d < what->rank; d++) same = shape->dims[d] == self->dims[d];
  if (same) return ESP_OK;
  char *expected = esp_dims_format(what->rank, self->dims);
  char *found = esp_dims_format(shape->rank, shape->dims);
  const esp_status status =
      esp_fail(ESP_FORMAT, "%s: %s: shape %s is expected beside these /tokens, found %s",
               self->path, what->name, expected, found);
  esp_free(&found);
  esp_free(&expected);
  return status;
}

static esp_status check_integers(const token_reader *self, const char *name,
                                 const esp_h5_numbers *numbers) {
  if (numbers->kind == ESP_H5_INTEGERS) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: %s: integers are expected, found %s; write them as int32",
                  self->path, name, numbers->type);
}

static esp_status check_values(const token_reader *self, const token_column *what,
                               const int64_t *values, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (values[i] < what->low || values[i] > what->high)
      return esp_fail(ESP_FORMAT,
                      "%s: %s: values from %lld to %lld are expected, found %lld%s in row %lld",
                      self->path, what->name, (long long)what->low, (long long)what->high,
                      (long long)values[i], values[i] == INT64_MAX ? " or more" : "",
                      (long long)(what->rank == 2 ? i / self->dims[1] : i));
  return ESP_OK;
}

static int32_t *narrow(const int64_t *words, int64_t count) {
  int32_t *values = ESP_NEW(int32_t, count);
  for (int64_t i = 0; i < count; i++) values[i] = (int32_t)words[i];
  return values;
}

/* Of int32, the usual type: without HDF5's conversion, which holds a buffer of its own. */
static esp_status read_widened(const token_reader *self, const char *name,
                               const esp_h5_numbers *numbers, int64_t count, int64_t *words) {
  ESP_TRY(esp_h5_read_converted(self->file, name, numbers, ESP_I32, words));
  const char *stored = (const char *)words;
  for (int64_t i = count - 1; i >= 0; i--) { // from the end: it grows in place
    int32_t word;
    memcpy(&word, stored + 4 * i, sizeof word);
    words[i] = word;
  }
  return ESP_OK;
}

esp_status token_integers_read(const token_reader *self, const char *name,
                               const esp_h5_numbers *numbers, int64_t *words) {
  const esp_box whole = esp_box_whole(&numbers->shape);
  const int64_t count = esp_box_count(&whole);
  if (numbers->shape.type == ESP_I32) return read_widened(self, name, numbers, count, words);
  if (!numbers->is_unsigned)
    return esp_h5_read_converted(self->file, name, numbers, ESP_I64, words);
  ESP_TRY(esp_h5_read_converted(self->file, name, numbers, ESP_U64, words));
  for (int64_t i = 0; i < count; i++)
    if (words[i] < 0) words[i] = INT64_MAX;
  return ESP_OK;
}

esp_status token_column_read(const token_reader *self, const token_column *what, int32_t **values) {
  esp_h5_numbers numbers;
  ESP_TRY(esp_h5_get_numbers_local(self->file, what->name, &numbers));
  ESP_TRY(check_integers(self, what->name, &numbers));
  ESP_TRY(check_shape(self, what, &numbers.shape));
  const int64_t count = count_values(self, what->rank);
  int64_t *words = ESP_NEW(int64_t, count);
  esp_status status = token_integers_read(self, what->name, &numbers, words);
  if (status == ESP_OK) status = check_values(self, what, words, count);
  if (status == ESP_OK) *values = narrow(words, count);
  esp_free(&words);
  return status;
}
