#include "safetensors.h"
#include "pointer.h"

#include "espalier/core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Integers are there to be ignored by name, so a type of the same size stands for each. Others are
 * bytes, as many as the offsets say. */
static const struct {
  const char *name;
  esp_dtype type;
} dtypes[] = {{"F32", ESP_F32}, {"F16", ESP_F16}, {"BF16", ESP_BF16}, {"F64", ESP_F64},
              {"I64", ESP_I64}, {"U64", ESP_U64}, {"I32", ESP_I32},   {"U32", ESP_I32},
              {"U8", ESP_U8},   {"I8", ESP_U8},   {"BOOL", ESP_U8}};
enum { DTYPE_COUNT = sizeof dtypes / sizeof *dtypes };

void esp_tensor_list_clear(esp_tensor_list *list) {
  for (int i = 0; i < list->count; i++) esp_free(&list->tensors[i].name);
  esp_free(&list->tensors);
  *list = (esp_tensor_list){0};
}

static void append(esp_tensor_list *list, const esp_tensor *tensor, const char *name) {
  if (list->count == list->capacity) {
    list->capacity = list->capacity ? 2 * list->capacity : 256;
    esp_tensor *wider = ESP_NEW(esp_tensor, list->capacity);
    if (list->count) memcpy(wider, list->tensors, (size_t)list->count * sizeof *wider);
    esp_free(&list->tensors);
    list->tensors = wider;
  }
  list->tensors[list->count] = *tensor;
  list->tensors[list->count++].name = esp_strdup(name);
}

esp_status esp_safetensors_parse_head(esp_safetensors_file *file, const unsigned char *head) {
  if (file->bytes < ESP_SAFETENSORS_HEAD_BYTES)
    return esp_fail(ESP_FORMAT,
                    "%s is cut short: a safetensors file has 8 bytes at least, it has %lld",
                    file->path, (long long)file->bytes);
  if (pointer_begins_with(head)) return pointer_fail(file->path);
  uint64_t length = 0;
  for (int i = ESP_SAFETENSORS_HEAD_BYTES - 1; i >= 0; i--) length = length << 8 | head[i];
  if (length > ESP_SAFETENSORS_MOST_HEADER_BYTES)
    return esp_fail(
        ESP_FORMAT,
        "%s: a safetensors header of at most %d bytes is expected, found %llu; it is not "
        "such a file",
        file->path, ESP_SAFETENSORS_MOST_HEADER_BYTES, (unsigned long long)length);
  file->header_bytes = (int64_t)length;
  if (file->header_bytes <= file->bytes - ESP_SAFETENSORS_HEAD_BYTES) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s is cut short: its header has %lld bytes, the whole file %lld; get it again",
                  file->path, (long long)length, (long long)file->bytes);
}

static esp_status read_dtype(const esp_safetensors_file *file, const char *name, const json_t *info,
                             esp_tensor *tensor) {
  const char *found = json_string_value(json_object_get(info, "dtype"));
  for (int i = 0; found && i < DTYPE_COUNT; i++) {
    if (strcmp(found, dtypes[i].name) != 0) continue;
    tensor->type = dtypes[i].type;
    return ESP_OK;
  }
  if (found && *found) {
    tensor->type = ESP_U8;
    snprintf(tensor->foreign_type, sizeof tensor->foreign_type, "%s", found);
    return ESP_OK;
  }
  return esp_fail(
      ESP_FORMAT,
      "%s: tensor %.200s: a dtype as F32, F16, BF16 or F64 is expected, found none; get "
      "the checkpoint again",
      file->path, name);
}

/* Bytes of a type that is not known: their number is that of the file. */
static void read_foreign_shape(const json_t *info, esp_tensor *tensor, int64_t *bytes) {
  const json_t *offsets = json_object_get(info, "data_offsets");
  const int64_t begin = json_integer_value(json_array_get(offsets, 0));
  const int64_t end = json_integer_value(json_array_get(offsets, 1));
  *bytes = begin >= 0 && end >= begin ? end - begin : 0;
  tensor->rank = 1;
  tensor->shape[0] = *bytes;
}

/* *bytes becomes the size that shape and element type give. */
static esp_status read_shape(const esp_safetensors_file *file, const char *name, const json_t *info,
                             esp_tensor *tensor, int64_t *bytes) {
  const json_t *shape = json_object_get(info, "shape");
  const size_t rank = json_array_size(shape);
  if (!json_is_array(shape) || rank > ESP_MAX_RANK)
    return esp_fail(ESP_FORMAT,
                    "%s: tensor %.200s: a shape of at most %d dimensions is expected, found %s",
                    file->path, name, ESP_MAX_RANK, json_is_array(shape) ? "more" : "none");
  tensor->rank = (int)rank;
  *bytes = (int64_t)esp_dtype_bytes(tensor->type);
  for (size_t d = 0; d < rank; d++) {
    const json_t *size = json_array_get(shape, d);
    tensor->shape[d] = json_integer_value(size);
    if (!json_is_integer(size) || tensor->shape[d] < 0)
      return esp_fail(ESP_FORMAT, "%s: tensor %.200s: dimension %zu is not a size", file->path,
                      name, d);
    if (__builtin_mul_overflow(*bytes, tensor->shape[d], bytes))
      return esp_fail(ESP_FORMAT, "%s: tensor %.200s: its shape is too large for any file",
                      file->path, name);
  }
  return ESP_OK;
}

static esp_status read_offsets(const esp_safetensors_file *file, const char *name,
                               const json_t *info, int64_t bytes, esp_tensor *tensor) {
  const json_t *offsets = json_object_get(info, "data_offsets");
  const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
    return esp_fail(ESP_FORMAT, "%s: tensor %.200s: data_offsets of two integers are expected",
                    file->path, name);
  const int64_t from = json_integer_value(begin), to = json_integer_value(end);
  const int64_t data = ESP_SAFETENSORS_HEAD_BYTES + file->header_bytes;
  if (from < 0 || to < from || to > file->bytes - data)
    return esp_fail(
        ESP_FORMAT,
        "%s: tensor %.200s has bytes %lld to %lld, the file holds %lld of data; it is cut "
        "short or damaged, get it again",
        file->path, name, (long long)from, (long long)to, (long long)(file->bytes - data));
  if (to - from != bytes)
    return esp_fail(ESP_FORMAT,
                    "%s: tensor %.200s: dtype and shape give %lld bytes, data_offsets %lld",
                    file->path, name, (long long)bytes, (long long)(to - from));
  tensor->offset = data + from;
  return ESP_OK;
}

static esp_status read_tensor(const esp_safetensors_file *file, const char *name,
                              const json_t *info, esp_tensor_list *list) {
  int64_t bytes = 0;
  esp_tensor tensor = {.file = file->index};
  if (!json_is_object(info))
    return esp_fail(ESP_FORMAT, "%s: tensor %.200s is not described by a JSON object", file->path,
                    name);
  ESP_TRY(read_dtype(file, name, info, &tensor));
  if (*tensor.foreign_type)
    read_foreign_shape(info, &tensor, &bytes);
  else
    ESP_TRY(read_shape(file, name, info, &tensor, &bytes));
  ESP_TRY(read_offsets(file, name, info, bytes, &tensor));
  append(list, &tensor, name);
  return ESP_OK;
}

static esp_status check_metadata(const esp_safetensors_file *file, json_t *metadata) {
  const char *key;
  json_t *value;
  bool good = json_is_object(metadata);
  json_object_foreach(metadata, key, value) good = good && json_is_string(value);
  if (good) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s: " ESP_SAFETENSORS_METADATA " of texts is expected", file->path);
}

static esp_status read_metadata(const esp_safetensors_file *file, json_t *metadata,
                                esp_tensor_list *list) {
  ESP_TRY(check_metadata(file, metadata));
  const char *ours = json_string_value(json_object_get(metadata, ESP_SAFETENSORS_OURS));
  if (ours && strcmp(ours, ESP_SAFETENSORS_MASKED) == 0) list->is_masked = true;
  return ESP_OK;
}

static int64_t count_bytes(const esp_tensor *tensor) {
  return esp_tensor_count_elements(tensor) * (int64_t)esp_dtype_bytes(tensor->type);
}

/* Empty tensors go before the one that begins at the same place. */
static int compare_offsets(const void *a, const void *b) {
  const esp_tensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  const int64_t x_bytes = count_bytes(x), y_bytes = count_bytes(y);
  return (x_bytes > y_bytes) - (x_bytes < y_bytes);
}

/* The tensors of one file cover its data once. */
static esp_status check_cover(const esp_safetensors_file *file, esp_tensor *tensors, int count) {
  int64_t at = ESP_SAFETENSORS_HEAD_BYTES + file->header_bytes;
  if (count > 0) qsort(tensors, (size_t)count, sizeof *tensors, compare_offsets);
  for (int i = 0; i < count; i++) {
    if (tensors[i].offset != at)
      return esp_fail(ESP_FORMAT, "%s: tensor %.200s %s; the file is damaged", file->path,
                      tensors[i].name,
                      tensors[i].offset < at ? "overlaps another" : "begins behind a hole");
    at += count_bytes(&tensors[i]);
  }
  if (at == file->bytes) return ESP_OK;
  return esp_fail(ESP_FORMAT, "%s has %lld bytes behind its last tensor; the file is damaged",
                  file->path, (long long)(file->bytes - at));
}

static esp_status read_header(const esp_safetensors_file *file, json_t *header,
                              esp_tensor_list *list) {
  const char *name;
  json_t *info;
  const int first = list->count;
  json_object_foreach(header, name, info) {
    if (strcmp(name, ESP_SAFETENSORS_METADATA) == 0)
      ESP_TRY(read_metadata(file, info, list));
    else
      ESP_TRY(read_tensor(file, name, info, list));
  }
  if (list->count == first) return check_cover(file, NULL, 0);
  return check_cover(file, list->tensors + first, list->count - first);
}

esp_status esp_safetensors_parse(const esp_safetensors_file *file, const char *header,
                                 esp_tensor_list *list) {
  json_error_t error;
  if (file->header_bytes == 0 || header[0] != '{')
    return esp_fail(ESP_FORMAT, "%s: a safetensors header begins with '{', this one does not",
                    file->path);
  json_t *parsed = json_loadb(header, (size_t)file->header_bytes, JSON_REJECT_DUPLICATES, &error);
  const esp_status status =
      json_is_object(parsed)
          ? read_header(file, parsed, list)
          : esp_fail(ESP_FORMAT, "%s: its safetensors header is not good JSON: %s", file->path,
                     error.text);
  json_decref(parsed);
  return status;
}

static esp_status open_plain(const char *path, int *fd, int64_t *bytes) {
  struct stat about;
  *fd = open(path, O_RDONLY | O_NONBLOCK); // a pipe must not hold us up
  if (*fd < 0 || fstat(*fd, &about) != 0)
    return esp_fail(ESP_IO, "cannot open %s: %s; the checkpoint is incomplete, get it again", path,
                    strerror(errno));
  if (!S_ISREG(about.st_mode))
    return esp_fail(ESP_IO, "cannot read %s: it is not a plain file", path);
  *bytes = about.st_size;
  return ESP_OK;
}

static esp_status read_at(int fd, const char *path, int64_t offset, char *to, int64_t bytes) {
  while (bytes > 0) {
    const ssize_t got = pread(fd, to, (size_t)bytes, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return esp_fail(ESP_IO, "cannot read %s: %s", path,
                      got < 0 ? strerror(errno) : "it became shorter");
    to += got;
    offset += got;
    bytes -= got;
  }
  return ESP_OK;
}

static esp_status read_open_file(int fd, esp_safetensors_file *file, esp_tensor_list *list) {
  unsigned char head[ESP_SAFETENSORS_HEAD_BYTES] = {0};
  const int64_t there = file->bytes < (int64_t)sizeof head ? file->bytes : (int64_t)sizeof head;
  ESP_TRY(read_at(fd, file->path, 0, (char *)head, there));
  ESP_TRY(esp_safetensors_parse_head(file, head));
  char *header = esp_alloc(file->header_bytes, 1);
  esp_status status = read_at(fd, file->path, sizeof head, header, file->header_bytes);
  if (status == ESP_OK) status = esp_safetensors_parse(file, header, list);
  esp_free(&header);
  return status;
}

esp_status esp_safetensors_read(const char *path, int index, esp_tensor_list *list) {
  int fd;
  esp_safetensors_file file = {.path = path, .index = index};
  esp_status status = open_plain(path, &fd, &file.bytes);
  if (status == ESP_OK) status = read_open_file(fd, &file, list);
  if (fd >= 0) close(fd);
  return status;
}

esp_status esp_read_small_text(const char *path, char **text, int64_t *bytes) {
  int fd;
  *text = NULL;
  esp_status status = open_plain(path, &fd, bytes);
  if (status == ESP_OK && *bytes > ESP_SAFETENSORS_MOST_HEADER_BYTES)
    status = esp_fail(ESP_FORMAT, "%s: at most %d bytes are expected, it has %lld", path,
                      ESP_SAFETENSORS_MOST_HEADER_BYTES, (long long)*bytes);
  if (status == ESP_OK) {
    *text = esp_alloc(*bytes + 1, 1);
    status = read_at(fd, path, 0, *text, *bytes);
    if (status == ESP_OK && *bytes >= POINTER_HEAD_BYTES && pointer_begins_with(*text))
      status = pointer_fail(path);
  }
  if (fd >= 0) close(fd);
  if (status != ESP_OK) esp_free(text);
  return status;
}
