#include "pointer.h"
#include "tensors_format.h"

#include "espalier/core/memory.h"
#include "espalier/io/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const esp_tensor_format *const formats[] = {&esp_tensor_format_h5,
                                                   &esp_tensor_format_huggingface};

bool esp_tensor_is_floating(const esp_tensor *tensor) {
  return !*tensor->foreign_type && (tensor->type == ESP_F32 || tensor->type == ESP_F16 ||
                                    tensor->type == ESP_BF16 || tensor->type == ESP_F64);
}

int64_t esp_tensor_count_elements(const esp_tensor *tensor) {
  int64_t count = 1;
  for (int d = 0; d < tensor->rank; d++) count *= tensor->shape[d];
  return count;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(((const esp_tensor *)a)->name, ((const esp_tensor *)b)->name);
}

const esp_tensor *esp_tensor_set_find(const esp_tensor_set *set, const char *name) {
  int low = 0, high = set->n_tensors;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    const int order = strcmp(name, set->tensors[middle].name);
    if (order == 0) return &set->tensors[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

static esp_status open_with_format(const char *path, esp_tensor_set *set) {
  struct stat about;
  if (stat(path, &about) != 0)
    return esp_fail(ESP_IO, "cannot open %s: %s; check the path", path, strerror(errno));
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (formats[i]->probe(path)) return formats[i]->open(path, set);
  ESP_TRY(pointer_check(path));
  char *known = esp_strdup(formats[0]->name);
  for (size_t i = 1; i < sizeof formats / sizeof *formats; i++) {
    char *longer = esp_format("%s, %s", known, formats[i]->name);
    esp_free(&known);
    known = longer;
  }
  const esp_status status = esp_fail(
      ESP_FORMAT, "%s is no checkpoint of a known format (%s); check the path", path, known);
  esp_free(&known);
  return status;
}

static esp_status measure_files(esp_tensor_set *set) {
  set->map_bytes = ESP_NEW(int64_t, set->n_files);
  for (int i = 0; i < set->n_files; i++) {
    struct stat about;
    if (stat(set->files[i], &about) != 0)
      return esp_fail(ESP_IO, "cannot open %s: %s", set->files[i], strerror(errno));
    set->map_bytes[i] = about.st_size;
  }
  return ESP_OK;
}

static esp_status check_extent(const esp_tensor_set *set, const esp_tensor *tensor) {
  const char *file = set->files[tensor->file];
  int64_t bytes = (int64_t)esp_dtype_bytes(tensor->type), end;
  bool good = tensor->offset >= 0;
  for (int d = 0; d < tensor->rank && good; d++)
    good = tensor->shape[d] >= 0 && !__builtin_mul_overflow(bytes, tensor->shape[d], &bytes);
  good = good && !__builtin_add_overflow(tensor->offset, bytes, &end);
  if (good && end <= set->map_bytes[tensor->file]) return ESP_OK;
  return esp_fail(
      ESP_FORMAT,
      "%s: tensor %s lies beyond the end of the file, which has %lld bytes; get it again", file,
      tensor->name, (long long)set->map_bytes[tensor->file]);
}

static esp_status check_table(esp_tensor_set *set) {
  if (set->n_tensors == 0) return esp_fail(ESP_FORMAT, "%s has no tensors", set->path);
  qsort(set->tensors, (size_t)set->n_tensors, sizeof *set->tensors, compare_names);
  for (int i = 0; i < set->n_tensors; i++) {
    ESP_TRY(check_extent(set, &set->tensors[i]));
    if (i > 0 && compare_names(&set->tensors[i - 1], &set->tensors[i]) == 0)
      return esp_fail(ESP_FORMAT, "%s has the tensor %s twice", set->path, set->tensors[i].name);
  }
  return ESP_OK;
}

static esp_status read_table_local(const char *path, esp_tensor_set *set) {
  ESP_TRY(open_with_format(path, set));
  ESP_TRY(measure_files(set));
  return check_table(set);
}

/* All names as one block, each with its 0 byte, so that thousands of tensors take one broadcast. */
static char *join_names(const esp_tensor_set *set, int64_t *bytes) {
  *bytes = 0;
  for (int i = 0; i < set->n_tensors; i++) *bytes += (int64_t)strlen(set->tensors[i].name) + 1;
  char *joined = esp_alloc(*bytes, 1), *to = joined;
  for (int i = 0; i < set->n_tensors; i++) to = stpcpy(to, set->tensors[i].name) + 1;
  return joined;
}

static void bcast_tensors(const esp_comm *comm, esp_tensor_set *set) {
  int64_t bytes = 0;
  char *joined = comm->rank == 0 ? join_names(set, &bytes) : NULL;
  esp_bcast(comm, &bytes, sizeof bytes, 0);
  if (comm->rank != 0) {
    joined = esp_alloc(bytes, 1);
    set->tensors = ESP_NEW(esp_tensor, set->n_tensors);
  }
  esp_bcast(comm, joined, bytes, 0);
  esp_bcast(comm, set->tensors, set->n_tensors * (int64_t)sizeof *set->tensors, 0);
  const char *name = joined;
  for (int i = 0; comm->rank != 0 && i < set->n_tensors; i++, name += strlen(name) + 1)
    set->tensors[i].name = esp_strdup(name);
  esp_free(&joined);
}

static void bcast_table(const esp_comm *comm, esp_tensor_set *set) {
  int counts[2] = {set->n_tensors, set->n_files};
  esp_bcast(comm, counts, sizeof counts, 0);
  if (comm->rank != 0) {
    set->n_tensors = counts[0];
    set->n_files = counts[1];
    set->files = ESP_NEW(char *, set->n_files);
    set->map_bytes = ESP_NEW(int64_t, set->n_files);
  }
  for (int i = 0; i < set->n_files; i++) esp_bcast_text(comm, &set->files[i], 0);
  esp_bcast(comm, set->map_bytes, set->n_files * (int64_t)sizeof *set->map_bytes, 0);
  esp_bcast_text(comm, &set->config, 0);
  esp_bcast_text(comm, &set->details, 0);
  esp_bcast(comm, &set->is_masked, sizeof set->is_masked, 0);
  bcast_tensors(comm, set);
}

static esp_status map_open_file(int fd, const char *path, int64_t bytes, const void **map) {
  struct stat about;
  if (fd < 0 || fstat(fd, &about) != 0)
    return esp_fail(ESP_IO, "cannot open %s: %s; give a path on a file system that all nodes share",
                    path, strerror(errno));
  if (about.st_size != bytes)
    return esp_fail(ESP_IO,
                    "%s has %lld bytes here and %lld on rank 0; give a path that all nodes share",
                    path, (long long)about.st_size, (long long)bytes);
  if (bytes == 0) return ESP_OK;
  return esp_mapping_open_local(fd, path, bytes, map);
}

static esp_status map_files_local(esp_tensor_set *set) {
  set->maps = ESP_NEW(const void *, set->n_files);
  for (int i = 0; i < set->n_files; i++) {
    const int fd = open(set->files[i], O_RDONLY);
    const esp_status status = map_open_file(fd, set->files[i], set->map_bytes[i], &set->maps[i]);
    if (fd >= 0) close(fd);
    ESP_TRY(status);
  }
  for (int i = 0; i < set->n_tensors; i++) {
    esp_tensor *tensor = &set->tensors[i];
    tensor->data = (const char *)set->maps[tensor->file] + tensor->offset;
  }
  return ESP_OK;
}

/* Every rank opens the path that it was given, so that a rank which cannot see it is found here. */
static esp_status see_path_local(const esp_comm *comm, const char *path) {
  if (access(path, R_OK) == 0) return ESP_OK;
  return esp_fail(ESP_IO,
                  "rank %d cannot open %s: %s; give a path on a file system that all nodes share",
                  comm->rank, path, strerror(errno));
}

static esp_status open_set(const esp_comm *comm, const char *path, esp_tensor_set *set) {
  ESP_TRY(esp_agree(comm, comm->rank == 0 ? read_table_local(path, set) : ESP_OK));
  ESP_TRY(esp_agree(comm, see_path_local(comm, path)));
  bcast_table(comm, set);
  return esp_agree(comm, map_files_local(set));
}

esp_status esp_tensor_set_open(const esp_comm *comm, const char *path, esp_tensor_set **set) {
  *set = ESP_NEW(esp_tensor_set, 1);
  (*set)->path = esp_strdup(path);
  const esp_status status = open_set(comm, path, *set);
  if (status != ESP_OK) esp_tensor_set_close(set);
  return status;
}

void esp_tensor_set_close(esp_tensor_set **set) {
  esp_tensor_set *self = *set;
  if (!self) return;
  for (int i = 0; i < self->n_files && self->files; i++) {
    if (self->maps) esp_mapping_close_local(&self->maps[i]);
    esp_free(&self->files[i]);
  }
  for (int i = 0; i < self->n_tensors && self->tensors; i++) esp_free(&self->tensors[i].name);
  esp_free(&self->tensors);
  esp_free(&self->files);
  esp_free(&self->maps);
  esp_free(&self->map_bytes);
  esp_free(&self->config);
  esp_free(&self->details);
  esp_free(&self->path);
  esp_free(set);
}
