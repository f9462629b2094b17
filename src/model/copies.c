#include "copies.h"

#include <string.h>

static size_t count_prefix(const esp_model *model, const char *name) {
  const size_t length = model->prefix ? strlen(model->prefix) : 0;
  return length > 0 && strncmp(name, model->prefix, length) == 0 ? length : 0;
}

/* By its name, or without the family's prefix. */
static const esp_tensor *find_stored(const esp_model *model, const char *name) {
  const esp_tensor *tensor = esp_tensor_set_find(model->source, name);
  const size_t length = count_prefix(model, name);
  return tensor || length == 0 ? tensor : esp_tensor_set_find(model->source, name + length);
}

bool copies_are_stored(const esp_model *model) {
  const esp_copy *row = model->is_head_tied ? model->family->copies : NULL;
  for (; row && row->name; row++)
    if (esp_tensor_set_find(model->source, row->name)) return true;
  return false;
}

const esp_tensor *copies_find_tensor(const esp_model *model, const char *name) {
  const bool may_stand = model->is_head_tied || model->is_untied;
  const esp_copy *row = may_stand ? model->family->copies : NULL;
  for (; row && row->name; row++)
    if (strcmp(name, model->is_untied ? row->name : row->of) == 0)
      return find_stored(model, model->is_untied ? row->of : row->name);
  return NULL;
}

static bool have_same_shape(const esp_tensor *a, const esp_tensor *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

enum { BLOCK = 2048 };

static bool are_same_numbers(const float *a, const float *b, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (a[i] < b[i] || a[i] > b[i] || (a[i] != a[i]) != (b[i] != b[i])) return false;
  return true;
}

static bool is_same_block(const esp_tensor *a, const esp_tensor *b, int64_t begin, int64_t n) {
  const size_t wide[2] = {esp_dtype_bytes(a->type), esp_dtype_bytes(b->type)};
  const char *from[2] = {(const char *)a->data + (size_t)begin * wide[0],
                         (const char *)b->data + (size_t)begin * wide[1]};
  float numbers[2][BLOCK];
  if (a->type == b->type && memcmp(from[0], from[1], (size_t)n * wide[0]) == 0) return true;
  esp_dtype_to_f32(a->type, from[0], n, numbers[0]);
  esp_dtype_to_f32(b->type, from[1], n, numbers[1]);
  return are_same_numbers(numbers[0], numbers[1], n);
}

static bool are_same(const esp_tensor *a, const esp_tensor *b) {
  if (!esp_tensor_is_floating(a) || !esp_tensor_is_floating(b) || !have_same_shape(a, b))
    return false;
  const int64_t n = esp_tensor_count_elements(a);
  for (int64_t i = 0; i < n; i += BLOCK)
    if (!is_same_block(a, b, i, n - i < BLOCK ? n - i : BLOCK)) return false;
  return true;
}

const esp_copy *copies_find_other(const esp_model *model) {
  for (const esp_copy *row = model->family->copies; row && row->name; row++) {
    const esp_tensor *copy = esp_tensor_set_find(model->source, row->name);
    const esp_tensor *weight = find_stored(model, row->of);
    if (copy && weight && !are_same(copy, weight)) return row;
  }
  return NULL;
}
