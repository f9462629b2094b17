/* A weight that has no values of its own goes to a file in the bytes that it came with: no number
 * is converted, and nothing is loaded. */
#include "rows.h"

#include "espalier/core/finite.h"
#include "espalier/core/memory.h"

#include <math.h>
#include <string.h>

static int64_t count_row(const esp_weight *weight) {
  return weight->shape[0] > 0 ? esp_weight_count(weight) / weight->shape[0] : 0;
}

/* Magnitudes from here on are infinite in a type: its largest number and half a step. */
static float find_infinity(esp_dtype type) {
  return type == ESP_F16 ? 65520.0f : type == ESP_BF16 ? 0x1.FFp127f : INFINITY;
}

static esp_status convert(const esp_weight *weight, int64_t begin, int64_t count,
                          weight_rows *rows) {
  const int64_t row = count_row(weight), n = count * row;
  const float *values = weight->value + begin * row;
  const int64_t i = esp_find_beyond(values, n, find_infinity(weight->type));
  if (i < n)
    return esp_fail(ESP_NUMERIC,
                    "weight '%s': expected finite numbers in %s, found %g at element "
                    "%lld; nothing is written",
                    weight->name, esp_dtype_name(weight->type), (double)values[i],
                    (long long)(begin * row + i));
  rows->data = rows->owned = esp_alloc(n, esp_dtype_bytes(weight->type));
  esp_dtype_from_f32(weight->type, values, n, rows->owned);
  return ESP_OK;
}

/* Where a row of the last axis is stored: rows are numbered over the axes before it. */
static int64_t find_stored_row(const esp_weight *weight, int64_t row) {
  int64_t stored = 0, stride = 1;
  for (int axis = weight->rank - 2; axis >= 0; axis--) {
    const int64_t i = row % weight->shape[axis];
    stored += stride * (weight->keep[axis] ? weight->keep[axis][i] : i);
    stride *= weight->stored_shape[axis];
    row /= weight->shape[axis];
  }
  return stored;
}

/* Elements of some bytes each, by their indices. */
static void pick(const char *from, const int64_t *indices, int64_t count, size_t bytes, char *to) {
  for (int64_t j = 0; j < count; j++)
    if (bytes == sizeof(uint16_t))
      memcpy(to + j * 2, from + indices[j] * 2, sizeof(uint16_t));
    else
      memcpy(to + (size_t)j * bytes, from + (size_t)indices[j] * bytes, bytes);
}

/* A part of one row of the last axis, from its column `begin` on. */
static void copy_part(const esp_weight *weight, int64_t row, int64_t begin, int64_t count,
                      char *to) {
  const int last = weight->rank - 1;
  const size_t bytes = esp_dtype_bytes(weight->type);
  const char *from = (const char *)weight->stored +
                     (size_t)(find_stored_row(weight, row) * weight->stored_shape[last]) * bytes;
  if (weight->keep[last])
    pick(from, weight->keep[last] + begin, count, bytes, to);
  else
    memcpy(to, from + (size_t)begin * bytes, (size_t)count * bytes);
}

static void apply_mask(const esp_weight *weight, int64_t first, int64_t count, char *to) {
  const size_t bytes = esp_dtype_bytes(weight->type);
  for (int64_t i = first; i < first + count && weight->mask; i++)
    if (!(weight->mask[i / 8] >> (i % 8) & 1)) memset(to + (size_t)(i - first) * bytes, 0, bytes);
}

static void *copy(const esp_weight *weight, int64_t begin, int64_t count) {
  const int64_t n = count * count_row(weight), width = weight->shape[weight->rank - 1];
  const size_t bytes = esp_dtype_bytes(weight->type);
  char *to = esp_alloc(n, bytes);
  if (weight->rank == 1)
    copy_part(weight, 0, begin, count, to);
  else if (n > 0)
    for (int64_t r = 0; r < n / width; r++)
      copy_part(weight, begin * (count_row(weight) / width) + r, 0, width,
                to + (size_t)(r * width) * bytes);
  apply_mask(weight, begin * count_row(weight), n, to);
  return to;
}

static bool is_as_stored(const esp_weight *weight) {
  for (int axis = 0; axis < weight->rank; axis++)
    if (weight->keep[axis]) return false;
  return !weight->mask;
}

/* Of a block at a time, so that what is converted for it stays in the cache. */
static esp_status check_stored(const esp_weight *weight, int64_t first, int64_t n,
                               const void *data) {
  enum { BLOCK = 2048 };
  float values[BLOCK];
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const int64_t count = n - begin < BLOCK ? n - begin : BLOCK;
    esp_dtype_to_f32(weight->type,
                     (const char *)data + (size_t)begin * esp_dtype_bytes(weight->type), count,
                     values);
    const int64_t i = esp_find_beyond(values, count, INFINITY);
    if (i < count)
      return esp_fail(ESP_NUMERIC,
                      "weight '%s': expected finite numbers, found %g at element %lld; "
                      "the checkpoint is damaged",
                      weight->name, (double)values[i], (long long)(first + begin + i));
  }
  return ESP_OK;
}

static void take_stored(const esp_weight *weight, int64_t begin, int64_t count, weight_rows *rows) {
  const size_t row_bytes = (size_t)count_row(weight) * esp_dtype_bytes(weight->type);
  ESP_ASSERT(weight->stored);
  if (is_as_stored(weight))
    rows->data = (const char *)weight->stored + (size_t)begin * row_bytes;
  else
    rows->data = rows->owned = copy(weight, begin, count);
}

esp_status weight_rows_take(const esp_weight *weight, int64_t begin, int64_t count,
                            weight_rows *rows) {
  const int64_t row = count_row(weight);
  *rows = (weight_rows){0};
  if (weight->is_final) return convert(weight, begin, count, rows);
  take_stored(weight, begin, count, rows);
  return check_stored(weight, begin * row, count * row, rows->data);
}

void weight_rows_clear(weight_rows *rows) {
  esp_free(&rows->owned);
  rows->data = NULL;
}
