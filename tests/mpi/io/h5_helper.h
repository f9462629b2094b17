/* What the tests of parallel HDF5 share: scratch files, blocks of a known array, limits. */
#ifndef ESPALIER_TESTS_H5_HELPER_H
#define ESPALIER_TESTS_H5_HELPER_H

#include "mpi.h"
#include "scratch.h"

#include "espalier/io/file.h"
#include "espalier/io/h5.h"
#include "h5_internal.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static inline bool is_absent(void) {
  return access(path, F_OK) != 0 && access(partial, F_OK) != 0;
}

static inline bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static inline void set_size_limit(rlim_t bytes) {
  struct rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
  setrlimit(RLIMIT_FSIZE, &limit);
}

static inline esp_h5_slab slab_of(const esp_comm *comm, int axis, int64_t n) {
  const int64_t begin = esp_block_begin(n, comm->size, comm->rank);
  return (esp_h5_slab){axis, begin, esp_block_begin(n, comm->size, comm->rank + 1) - begin};
}

static inline int32_t value_at(int64_t a, int64_t b, int64_t c) {
  return (int32_t)(10000 * a + 100 * b + c);
}

/* Fill a slab of an I32 array (a, b, c); the indices of value_at are those of the whole array. */
static inline int32_t *new_slab(const esp_h5_shape *shape, const esp_h5_slab *slab) {
  int64_t begin[3] = {0}, count[3] = {1, 1, 1}, i = 0;
  for (int d = 0; d < shape->rank; d++) count[d] = shape->dims[d];
  begin[slab->axis] = slab->begin;
  count[slab->axis] = slab->count;
  int32_t *data = ESP_NEW(int32_t, count[0] * count[1] * count[2]);
  for (int64_t a = 0; a < count[0]; a++)
    for (int64_t b = 0; b < count[1]; b++)
      for (int64_t c = 0; c < count[2]; c++)
        data[i++] = value_at(begin[0] + a, begin[1] + b, begin[2] + c);
  return data;
}

static inline esp_status write_blocks(esp_h5 *file, const char *name, const esp_h5_shape *shape,
                                      int axis) {
  const esp_h5_slab slab = slab_of(file->comm, axis, shape->dims[axis]);
  int32_t *data = new_slab(shape, &slab);
  const esp_status status = esp_h5_write(file, name, shape, &slab, data);
  esp_free(&data);
  return status;
}

static inline bool reads_blocks(esp_h5 *file, const char *name, const esp_h5_shape *shape,
                                int axis) {
  const esp_h5_slab slab = slab_of(file->comm, axis, shape->dims[axis]),
                    all = {axis, 0, shape->dims[axis]};
  int32_t *expected = new_slab(shape, &slab), *whole = new_slab(shape, &all);
  int32_t *found = new_slab(shape, &slab), *found_whole = new_slab(shape, &all);
  const esp_box box = esp_box_whole(shape);
  const size_t bytes = (size_t)esp_box_count(&box) * sizeof *found,
               line = bytes / (size_t)shape->dims[axis];
  memset(found, 1, line * (size_t)slab.count);
  memset(found_whole, 1, bytes);
  bool same = esp_h5_read(file, name, &slab, found) == ESP_OK;
  same = esp_h5_read_all(file, name, found_whole) == ESP_OK && same;
  same = same && memcmp(found, expected, line * (size_t)slab.count) == 0;
  same = same && memcmp(found_whole, whole, bytes) == 0;
  esp_free(&expected);
  esp_free(&whole);
  esp_free(&found);
  esp_free(&found_whole);
  return same;
}

static const esp_h5_shape cube = {ESP_I32, 3, {7, 5, 6}};

static inline esp_status write_sample_file(const esp_comm *comm) {
  const esp_h5_shape rows = {ESP_I32, 2, {101, 3}};
  esp_h5 *file;
  ESP_TRY(esp_h5_create(comm, path, &file));
  esp_status status = esp_h5_write_text(file, "/config", "{\"a\": 1}");
  for (int i = 0; i < 12 && status == ESP_OK; i++) {
    char name[32];
    snprintf(name, sizeof name, "/model/layer.%d.weight", i);
    status = write_blocks(file, name, &rows, i % 2);
  }
  if (status == ESP_OK) return esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}

#endif
