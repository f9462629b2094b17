#include "mpi.h"

#include "espalier/io/file.h"
#include "espalier/io/h5.h"
#include "h5_internal.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[128], partial[160];

static void set_path(const char *name) {
  snprintf(path, sizeof path, "%s", test_path(name));
  snprintf(partial, sizeof partial, "%s.partial", path);
  MPI_Barrier(test_comm.mpi);
  if (test_comm.rank == 0) {
    unlink(path);
    unlink(partial);
  }
  MPI_Barrier(test_comm.mpi);
}

static void put(const char *bytes, size_t count) {
  if (test_comm.rank == 0) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
      MPI_Abort(MPI_COMM_WORLD, 3);
  }
  MPI_Barrier(test_comm.mpi);
}

static bool is_absent(void) {
  return access(path, F_OK) != 0 && access(partial, F_OK) != 0;
}

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static void set_size_limit(rlim_t bytes) {
  struct rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
  setrlimit(RLIMIT_FSIZE, &limit);
}

static esp_h5_slab slab_of(const esp_comm *comm, int axis, int64_t n) {
  const int64_t begin = esp_block_begin(n, comm->size, comm->rank);
  return (esp_h5_slab){axis, begin, esp_block_begin(n, comm->size, comm->rank + 1) - begin};
}

static int32_t value_at(int64_t a, int64_t b, int64_t c) {
  return (int32_t)(10000 * a + 100 * b + c);
}

/* Fill a slab of an I32 array (a, b, c); the indices of value_at are those of the whole array. */
static int32_t *new_slab(const esp_h5_shape *shape, const esp_h5_slab *slab) {
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

static esp_status write_blocks(esp_h5 *file, const char *name, const esp_h5_shape *shape,
                               int axis) {
  const esp_h5_slab slab = slab_of(file->comm, axis, shape->dims[axis]);
  int32_t *data = new_slab(shape, &slab);
  const esp_status status = esp_h5_write(file, name, shape, &slab, data);
  esp_free(&data);
  return status;
}

static bool reads_blocks(esp_h5 *file, const char *name, const esp_h5_shape *shape, int axis) {
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

static void esp_h5_write_is_read_back_by_every_axis(void **state) {
  (void)state;
  static const char *const names[] = {"/a", "/b/of", "/b/c/d.weight"};
  esp_h5 *file;
  set_path("axes.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  for (int axis = 0; axis < 3; axis++)
    ASSERT_ALL(write_blocks(file, names[axis], &cube, axis) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK && file == NULL);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  for (int written = 0; written < 3; written++)
    for (int axis = 0; axis < 3; axis++)
      ASSERT_ALL(reads_blocks(file, names[written], &cube, axis));
  esp_h5_close(&file);
}

static void esp_h5_write_in_many_small_calls_gives_the_same(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("calls.h5");
  for (int64_t bytes = 4; bytes < 600; bytes = bytes * 3 + 1) {
    ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
    file->call_bytes = bytes;
    for (int axis = 0; axis < 3; axis++)
      ASSERT_ALL(write_blocks(file,
                              axis == 0   ? "a"
                              : axis == 1 ? "b"
                                          : "c",
                              &cube, axis) == ESP_OK);
    ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
    ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
    file->call_bytes = bytes;
    ASSERT_ALL(reads_blocks(file, "a", &cube, 0) && reads_blocks(file, "b", &cube, 2));
    ASSERT_ALL(reads_blocks(file, "c", &cube, 1));
    esp_h5_close(&file);
  }
}

static void esp_h5_write_takes_fewer_rows_than_ranks(void **state) {
  (void)state;
  const esp_h5_shape one = {ESP_I32, 2, {1, 3}};
  esp_h5 *file;
  set_path("few.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "one", &one, 0) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(reads_blocks(file, "one", &one, 0));
  esp_h5_close(&file);
}

static void esp_h5_write_takes_an_empty_dataset(void **state) {
  (void)state;
  const esp_h5_shape none = {ESP_F32, 2, {0, 3}};
  const esp_h5_slab slab = {0, 0, 0};
  esp_h5 *file;
  set_path("none.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_write(file, "none", &none, &slab, NULL) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_expect_shape(file, "none", &none) == ESP_OK);
  ASSERT_ALL(esp_h5_read(file, "none", &slab, NULL) == ESP_OK);
  esp_h5_close(&file);
}

static void esp_h5_write_root_takes_every_type_and_a_scalar(void **state) {
  (void)state;
  unsigned char words[2 * 8], found[2 * 8];
  esp_h5 *file;
  set_path("types.h5");
  for (size_t i = 0; i < sizeof words; i++) words[i] = (unsigned char)(17 * i + 3);
  const void *mine = test_comm.rank == 0 ? words : NULL;
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  for (int t = 0; t < ESP_DTYPE_COUNT; t++) {
    const esp_h5_shape pair = {(esp_dtype)t, 1, {2}}, scalar = {(esp_dtype)t, 0, {0}};
    ASSERT_ALL(esp_h5_write_root(file, esp_dtype_name((esp_dtype)t), &pair, mine) == ESP_OK);
    if (t == ESP_BF16) ASSERT_ALL(esp_h5_write_root(file, "scalar", &scalar, mine) == ESP_OK);
  }
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  for (int t = 0; t < ESP_DTYPE_COUNT; t++) {
    const esp_h5_shape pair = {(esp_dtype)t, 1, {2}};
    ASSERT_ALL(esp_h5_expect_shape(file, esp_dtype_name((esp_dtype)t), &pair) == ESP_OK);
    ASSERT_ALL(esp_h5_read_all(file, esp_dtype_name((esp_dtype)t), found) == ESP_OK);
    ASSERT_ALL(memcmp(found, words, 2 * esp_dtype_bytes((esp_dtype)t)) == 0);
  }
  ASSERT_ALL(esp_h5_read_all(file, "scalar", found) == ESP_OK && memcmp(found, words, 2) == 0);
  esp_h5_close(&file);
}

static void esp_h5_write_stores_bf16_as_a_float_that_the_library_can_convert(void **state) {
  (void)state;
  const float values[3] = {1.0f, -0.15625f, 3.0e38f};
  float found[3] = {0};
  uint16_t words[3];
  const esp_h5_shape shape = {ESP_BF16, 1, {3}};
  esp_h5 *file;
  set_path("bf16.h5");
  esp_dtype_from_f32(ESP_BF16, values, 3, words);
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_write_root(file, "x", &shape, words) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  const hid_t id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), x = H5Dopen2(id, "x", H5P_DEFAULT);
  ASSERT_ALL(H5Dread(x, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, found) >= 0);
  H5Dclose(x);
  H5Fclose(id);
  ASSERT_ALL(found[0] == 1.0f && found[1] == -0.15625f && found[2] > 2.98e38f &&
             found[2] < 3.02e38f);
}

static void esp_h5_write_aligns_datasets_and_stores_no_times(void **state) {
  (void)state;
  const esp_h5_shape odd = {ESP_U8, 1, {13}};
  const unsigned char data[13] = {1};
  H5O_info_t about;
  esp_h5 *file;
  int64_t offset;
  set_path("aligned.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  for (const char *name = "a\0g/b\0g/c\0"; *name; name += strlen(name) + 1) {
    ASSERT_ALL(esp_h5_write_root(file, name, &odd, data) == ESP_OK);
    ASSERT_ALL(esp_h5_get_offset_local(file, name, &offset) == ESP_OK && offset > 0 &&
               offset % 64 == 0);
    ASSERT_ALL(H5Oget_info_by_name(file->id, name, &about, H5P_DEFAULT) >= 0 && about.mtime == 0);
  }
  ASSERT_ALL(H5Oget_info_by_name(file->id, "g", &about, H5P_DEFAULT) >= 0 && about.mtime == 0);
  esp_h5_close(&file);
}

static esp_status write_sample_file(const esp_comm *comm) {
  const esp_h5_shape rows = {ESP_I32, 2, {101, 3}};
  esp_h5 *file;
  ESP_TRY(esp_h5_create(comm, path, &file));
  esp_status status = esp_h5_write_text(file, "/config", "{\"a\": 1}");
  for (int i = 0; i < 40 && status == ESP_OK; i++) {
    char name[32];
    snprintf(name, sizeof name, "/model/layer.%d.weight", i);
    status = write_blocks(file, name, &rows, i % 2);
  }
  if (status == ESP_OK) return esp_h5_commit(&file);
  esp_h5_close(&file);
  return status;
}

static void esp_h5_commit_gives_the_same_bytes_at_any_rank_count(void **state) {
  (void)state;
  char *all = NULL, *one = NULL;
  int64_t all_bytes = 0, one_bytes = 0;
  esp_comm self;
  set_path("same.h5");
  ASSERT_ALL(write_sample_file(&test_comm) == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &all, &all_bytes) == ESP_OK);
  set_path("same-alone.h5");
  esp_comm_init(&self, MPI_COMM_SELF);
  ASSERT_ALL(test_comm.rank > 0 || write_sample_file(&self) == ESP_OK);
  esp_comm_clear(&self);
  ASSERT_ALL(esp_file_read(&test_comm, path, &one, &one_bytes) == ESP_OK);
  ASSERT_ALL(all_bytes == one_bytes && memcmp(all, one, (size_t)all_bytes) == 0);
  esp_free(&all);
  esp_free(&one);
}

static void esp_h5_commit_leaves_no_more_disk_space_than_the_file_needs(void **state) {
  (void)state;
  struct stat about;
  set_path("space.h5");
  ASSERT_ALL(write_sample_file(&test_comm) == ESP_OK);
  ASSERT_ALL(stat(path, &about) == 0 && about.st_blocks * 512 < about.st_size + (1 << 17));
}

static void esp_h5_commit_replaces_a_file_only_at_the_end(void **state) {
  (void)state;
  char *data;
  int64_t bytes;
  esp_h5 *file;
  set_path("replaced.h5");
  put("old", 3);
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_write_text(file, "x", "y") == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &data, &bytes) == ESP_OK && bytes == 3);
  esp_free(&data);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  ASSERT_ALL(access(partial, F_OK) != 0);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  esp_h5_close(&file);
}

static void esp_h5_commit_fails_everywhere_when_the_name_became_a_folder(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("folder.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  if (test_comm.rank == 0 && mkdir(path, 0777) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
  ASSERT_ALL(failed(esp_h5_commit(&file), ESP_IO, "folder") && file == NULL);
  if (test_comm.rank == 0) rmdir(path);
  MPI_Barrier(test_comm.mpi);
  ASSERT_ALL(is_absent());
}

static void esp_h5_close_removes_what_was_not_committed(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("closed.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "x", &cube, 0) == ESP_OK);
  esp_h5_close(&file);
  esp_h5_close(&file);
  MPI_Barrier(test_comm.mpi);
  ASSERT_ALL(file == NULL && is_absent());
}

static void esp_h5_create_refuses_a_missing_folder(void **state) {
  (void)state;
  esp_h5 *file;
  ASSERT_ALL(failed(esp_h5_create(&test_comm, "/no/such/x.h5", &file), ESP_IO, "no folder") &&
             !file);
}

static void esp_h5_create_fails_everywhere_when_one_rank_sees_another_path(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("seen.h5");
  const bool bad = test_comm.rank == test_comm.size - 1;
  const esp_status status = esp_h5_create(&test_comm, bad ? "/no/such/x.h5" : path, &file);
  ASSERT_ALL(failed(status, ESP_IO, "/no/such/x.h5") && !file);
  MPI_Barrier(test_comm.mpi);
  ASSERT_ALL(is_absent());
}

static void check_write_mismatch(const esp_h5_slab *slab, const char *part) {
  static const int32_t data[1000];
  esp_h5 *file;
  set_path("bad.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_write(file, "x", &cube, slab, data), ESP_MISMATCH, part));
  ASSERT_ALL(!esp_h5_has(file, "x"));
  ASSERT_ALL(write_blocks(file, "x", &cube, 0) == ESP_OK); // the file is still good
  esp_h5_close(&file);
}

static void esp_h5_write_fails_everywhere_when_one_slab_lies_outside(void **state) {
  (void)state;
  esp_h5_slab slab = slab_of(&test_comm, 0, 7);
  if (test_comm.rank == test_comm.size - 1) slab = (esp_h5_slab){0, 7, 1};
  check_write_mismatch(&slab, "lies outside");
}

static void esp_h5_write_fails_everywhere_when_one_rank_takes_another_axis(void **state) {
  (void)state;
  esp_h5_slab slab = slab_of(&test_comm, 0, 7);
  if (test_comm.rank == test_comm.size - 1) slab = (esp_h5_slab){3, 0, 1};
  check_write_mismatch(&slab, "axis 3");
}

static void esp_h5_write_fails_when_the_slabs_leave_a_gap(void **state) {
  (void)state;
  esp_h5_slab slab = slab_of(&test_comm, 0, 7);
  if (test_comm.rank == 0) slab.count--;
  check_write_mismatch(&slab, "6 of 7");
}

static void esp_h5_write_fails_everywhere_when_ranks_differ_in_shape(void **state) {
  (void)state;
  static const int32_t data[1000];
  esp_h5 *file;
  esp_h5_shape shape = {ESP_I32, 1, {8}};
  set_path("differ.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  const bool bad = test_comm.size > 1 && test_comm.rank == test_comm.size - 1;
  if (bad) shape.dims[0] = 9;
  const esp_status status = esp_h5_write_root(file, "x", &shape, data);
  ASSERT_ALL(test_comm.size == 1 ? status == ESP_OK : failed(status, ESP_MISMATCH, "than rank 0"));
  esp_h5_close(&file);
}

static void esp_h5_write_refuses_a_name_that_is_taken(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("taken.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "a/x", &cube, 0) == ESP_OK);
  ASSERT_ALL(failed(write_blocks(file, "a/x", &cube, 0), ESP_IO, "a/x"));
  ASSERT_ALL(failed(write_blocks(file, "a/x/y", &cube, 0), ESP_IO, "a/x/y"));
  ASSERT_ALL(failed(write_blocks(file, "a/", &cube, 0), ESP_MISMATCH, "cannot name"));
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
}

static const esp_h5_shape big = {ESP_I32, 1, {1 << 20}};

static void check_write_under_limit(bool limited) {
  esp_h5 *file;
  set_path("limit.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "small", &cube, 0) == ESP_OK);
  if (limited) set_size_limit(3 << 20);
  const esp_status status = write_blocks(file, "big", &big, 0);
  esp_h5_close(&file);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(failed(status, ESP_IO, "ulimit -f"));
  MPI_Barrier(test_comm.mpi);
  ASSERT_ALL(is_absent());
}

static void esp_h5_write_fails_everywhere_under_a_file_size_limit(void **state) {
  (void)state;
  check_write_under_limit(true);
}

static void esp_h5_write_fails_everywhere_when_one_rank_has_a_file_size_limit(void **state) {
  (void)state;
  check_write_under_limit(test_comm.rank == test_comm.size - 1);
}

static void esp_h5_write_that_fails_leaves_the_file_usable(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("usable.h5");
  set_size_limit(3 << 20);
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "big", &big, 0) == ESP_IO);
  ASSERT_ALL(write_blocks(file, "small", &cube, 0) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(!esp_h5_has(file, "big") && reads_blocks(file, "small", &cube, 0));
  esp_h5_close(&file);
}

static void esp_h5_create_fails_everywhere_under_a_file_size_limit(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("tiny.h5");
  if (test_comm.rank == 0) set_size_limit(100);
  const esp_status status = esp_h5_create(&test_comm, path, &file);
  set_size_limit(RLIM_INFINITY);
  ASSERT_ALL(failed(status, ESP_IO, "ulimit -f") && !file);
  MPI_Barrier(test_comm.mpi);
  ASSERT_ALL(is_absent());
}

static void esp_h5_write_refuses_what_no_disk_can_hold(void **state) {
  (void)state;
  const esp_h5_shape huge = {ESP_F64, 2, {1 << 30, 1 << 20}},
                     beyond = {ESP_F64, 2, {1 << 30, INT64_C(1) << 40}};
  const esp_h5_slab slab = slab_of(&test_comm, 0, huge.dims[0]);
  esp_h5 *file;
  set_path("huge.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_write(file, "x", &huge, &slab, NULL), ESP_IO, "more bytes"));
  ASSERT_ALL(
      failed(esp_h5_write(file, "x", &beyond, &slab, NULL), ESP_MISMATCH, "cannot be stored"));
  esp_h5_close(&file);
}

static void check_open_failure(esp_status code, const char *part) {
  esp_h5 *file;
  ASSERT_ALL(failed(esp_h5_open(&test_comm, path, &file), code, part) && !file);
}

static void esp_h5_open_refuses_what_is_not_there_or_not_hdf5(void **state) {
  (void)state;
  const char other[64] = "this is not an HDF5 file";
  set_path("absent.h5");
  check_open_failure(ESP_IO, "No such file");
  put(other, sizeof other);
  check_open_failure(ESP_FORMAT, "not an HDF5 file");
  put("", 0);
  check_open_failure(ESP_FORMAT, "is empty");
  put("\x89H", 2);
  check_open_failure(ESP_FORMAT, "not an HDF5 file");
  put("\x89HDF\r\n\x1a\n and then nothing sensible", 40);
  check_open_failure(ESP_FORMAT, "HDF5");
  strcpy(path, "/tmp");
  check_open_failure(ESP_IO, "folder");
}

static void esp_h5_open_refuses_every_truncation(void **state) {
  (void)state;
  struct stat about;
  esp_h5 *file;
  set_path("cut.h5");
  ASSERT_ALL(write_sample_file(&test_comm) == ESP_OK && stat(path, &about) == 0);
  MPI_Barrier(test_comm.mpi);
  for (int64_t bytes = about.st_size - 1; bytes > 0; bytes /= 2) {
    if (test_comm.rank == 0 && truncate(path, bytes) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
    MPI_Barrier(test_comm.mpi);
    ASSERT_ALL(failed(esp_h5_open(&test_comm, path, &file), ESP_FORMAT, path));
    if (bytes > 48) ASSERT_ALL(strstr(esp_failure_text(), "truncated") != NULL);
  }
}

static void esp_h5_open_fails_everywhere_when_one_rank_cannot(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("shared.h5");
  ASSERT_ALL(write_sample_file(&test_comm) == ESP_OK);
  for (int bad = 0; bad < test_comm.size; bad++) {
    const esp_status status =
        esp_h5_open(&test_comm, test_comm.rank == bad ? "/no/such.h5" : path, &file);
    ASSERT_ALL(failed(status, ESP_IO, "/no/such.h5") && !file);
  }
}

static void esp_h5_read_fails_everywhere_when_one_slab_lies_outside(void **state) {
  (void)state;
  int32_t data[7 * 5 * 6];
  esp_h5 *file;
  esp_h5_slab slab = {0, 0, 7};
  set_path("outside.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "x", &cube, 0) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK && esp_h5_open(&test_comm, path, &file) == ESP_OK);
  if (test_comm.rank == test_comm.size - 1) slab.begin = 1;
  ASSERT_ALL(failed(esp_h5_read(file, "x", &slab, data), ESP_MISMATCH, "lies outside"));
  ASSERT_ALL(failed(esp_h5_read(file, "y", &slab, data), ESP_FORMAT, "no dataset y"));
  ASSERT_ALL(failed(esp_h5_read_all(file, "y/z", data), ESP_FORMAT, "no dataset y/z"));
  ASSERT_ALL(reads_blocks(file, "x", &cube, 1));
  esp_h5_close(&file);
}

static void esp_h5_read_takes_slabs_that_overlap_and_ranks_without_data(void **state) {
  (void)state;
  int32_t data[7 * 5 * 6];
  esp_h5 *file;
  const bool last = test_comm.rank == test_comm.size - 1;
  const esp_h5_slab all = {0, 0, 7}, none = {0, 0, 0};
  set_path("overlap.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "x", &cube, 0) == ESP_OK);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK && esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_read(file, "x", last ? &none : &all, last ? NULL : data) == ESP_OK);
  ASSERT_ALL(last || (data[0] == 0 && data[7 * 5 * 6 - 1] == value_at(6, 4, 5)));
  esp_h5_close(&file);
}

static void esp_h5_read_text_gives_every_rank_rank_0s_text(void **state) {
  (void)state;
  static const char *const texts[] = {"", "x", "{\"größe\": 1}\n"};
  char *text;
  esp_h5 *file;
  set_path("text.h5");
  for (size_t i = 0; i < ESP_COUNT(texts); i++) {
    ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
    const char *mine = test_comm.rank == 0 ? texts[i] : NULL;
    ASSERT_ALL(esp_h5_write_text(file, "in/here", mine) == ESP_OK);
    ASSERT_ALL(esp_h5_commit(&file) == ESP_OK && esp_h5_open(&test_comm, path, &file) == ESP_OK);
    ASSERT_ALL(esp_h5_read_text(file, "in/here", &text) == ESP_OK && strcmp(text, texts[i]) == 0);
    esp_free(&text);
    esp_h5_close(&file);
  }
}

static void esp_h5_read_text_refuses_what_is_no_text(void **state) {
  (void)state;
  char *text;
  esp_h5 *file;
  set_path("notext.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "g/numbers", &cube, 0) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_read_text(file, "g/numbers", &text), ESP_FORMAT, "g/numbers") && !text);
  ASSERT_ALL(failed(esp_h5_read_text(file, "g", &text), ESP_FORMAT, "not a text"));
  ASSERT_ALL(failed(esp_h5_read_text(file, "h", &text), ESP_FORMAT, "no text h"));
  esp_h5_close(&file);
}

static void esp_h5_has_knows_groups_datasets_and_missing_parents(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("has.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "/g/x.y", &cube, 0) == ESP_OK);
  ASSERT_ALL(esp_h5_has(file, "/") && esp_h5_has(file, "g") && esp_h5_has(file, "/g/x.y"));
  ASSERT_ALL(!esp_h5_has(file, "") && !esp_h5_has(file, "x") && !esp_h5_has(file, "h/x.y"));
  ASSERT_ALL(!esp_h5_has(file, "g/x.y/z"));
  esp_h5_close(&file);
}

static void esp_h5_expect_shape_tells_what_is_wrong(void **state) {
  (void)state;
  const esp_h5_shape other = {ESP_F32, 2, {7, 5}};
  esp_h5 *file;
  set_path("expect.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "x", &cube, 0) == ESP_OK);
  ASSERT_ALL(esp_h5_expect_shape(file, "x", &cube) == ESP_OK);
  const bool bad = test_comm.rank == test_comm.size - 1;
  const esp_status status = esp_h5_expect_shape(file, "x", bad ? &other : &cube);
  ASSERT_ALL(failed(status, ESP_FORMAT, "is I32 (7, 5, 6), F32 (7, 5) expected"));
  esp_h5_close(&file);
}

static void esp_h5_get_shape_refuses_foreign_types_and_ranks(void **state) {
  (void)state;
  const hsize_t dims[5] = {1, 1, 1, 1, 1};
  esp_h5_shape shape;
  esp_h5 *file;
  set_path("foreign.h5");
  if (test_comm.rank == 0) {
    const hid_t id = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
                space = H5Screate_simple(5, dims, NULL);
    const hid_t scalar = H5Screate(H5S_SCALAR);
    H5Dclose(H5Dcreate2(id, "deep", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(id, "big", H5T_IEEE_F32BE, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Sclose(scalar);
    H5Fclose(id);
  }
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(failed(esp_h5_get_shape(file, "deep", &shape), ESP_FORMAT, "5 dimensions"));
  ASSERT_ALL(failed(esp_h5_get_shape(file, "big", &shape), ESP_FORMAT, "element type"));
  ASSERT_ALL(failed(esp_h5_get_shape(file, "/", &shape), ESP_FORMAT, "not a dataset"));
  esp_h5_close(&file);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_h5_write_is_read_back_by_every_axis),
              cmocka_unit_test(esp_h5_write_in_many_small_calls_gives_the_same),
              cmocka_unit_test(esp_h5_write_takes_fewer_rows_than_ranks),
              cmocka_unit_test(esp_h5_write_takes_an_empty_dataset),
              cmocka_unit_test(esp_h5_write_root_takes_every_type_and_a_scalar),
              cmocka_unit_test(esp_h5_write_stores_bf16_as_a_float_that_the_library_can_convert),
              cmocka_unit_test(esp_h5_write_aligns_datasets_and_stores_no_times),
              cmocka_unit_test(esp_h5_commit_gives_the_same_bytes_at_any_rank_count),
              cmocka_unit_test(esp_h5_commit_leaves_no_more_disk_space_than_the_file_needs),
              cmocka_unit_test(esp_h5_commit_replaces_a_file_only_at_the_end),
              cmocka_unit_test(esp_h5_commit_fails_everywhere_when_the_name_became_a_folder),
              cmocka_unit_test(esp_h5_close_removes_what_was_not_committed),
              cmocka_unit_test(esp_h5_create_refuses_a_missing_folder),
              cmocka_unit_test(esp_h5_create_fails_everywhere_when_one_rank_sees_another_path),
              cmocka_unit_test(esp_h5_create_fails_everywhere_under_a_file_size_limit),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_one_slab_lies_outside),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_one_rank_takes_another_axis),
              cmocka_unit_test(esp_h5_write_fails_when_the_slabs_leave_a_gap),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_ranks_differ_in_shape),
              cmocka_unit_test(esp_h5_write_refuses_a_name_that_is_taken),
              cmocka_unit_test(esp_h5_write_fails_everywhere_under_a_file_size_limit),
              cmocka_unit_test(esp_h5_write_fails_everywhere_when_one_rank_has_a_file_size_limit),
              cmocka_unit_test(esp_h5_write_that_fails_leaves_the_file_usable),
              cmocka_unit_test(esp_h5_write_refuses_what_no_disk_can_hold),
              cmocka_unit_test(esp_h5_open_refuses_what_is_not_there_or_not_hdf5),
              cmocka_unit_test(esp_h5_open_refuses_every_truncation),
              cmocka_unit_test(esp_h5_open_fails_everywhere_when_one_rank_cannot),
              cmocka_unit_test(esp_h5_read_fails_everywhere_when_one_slab_lies_outside),
              cmocka_unit_test(esp_h5_read_takes_slabs_that_overlap_and_ranks_without_data),
              cmocka_unit_test(esp_h5_read_text_gives_every_rank_rank_0s_text),
              cmocka_unit_test(esp_h5_read_text_refuses_what_is_no_text),
              cmocka_unit_test(esp_h5_has_knows_groups_datasets_and_missing_parents),
              cmocka_unit_test(esp_h5_expect_shape_tells_what_is_wrong),
              cmocka_unit_test(esp_h5_get_shape_refuses_foreign_types_and_ranks))
