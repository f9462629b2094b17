#include "mpi.h"

#include "espalier/io/tensors.h"

#include <hdf5.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[128];

static void set_path(const char *name) {
  snprintf(path, sizeof path, "%s", test_path(name));
  esp_barrier(&test_comm);
  if (test_comm.rank == 0) unlink(path);
  esp_barrier(&test_comm);
}

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static const float matrix[6] = {1, 2, 3, 4, 5, 6};
static const uint16_t words[3] = {0x3F80, 0x4000, 0xBF80};

/* Members of a model file, in the order of bits: all together make a good one. */
enum { META = 1, CONFIG = 2, TENSORS = 4, REPORT = 8, GOOD = META | CONFIG | TENSORS };

static void write_model(int members, const char *kind) {
  const esp_h5_shape wide = {ESP_F32, 2, {2, 3}}, half = {ESP_BF16, 1, {3}},
                     none = {ESP_F32, 2, {0, 3}};
  esp_h5 *file;
  esp_status status = esp_h5_create(&test_comm, path, &file);
  if (members & META && status == ESP_OK) status = esp_meta_write(file, kind, "{\"seed\": 3}");
  if (members & CONFIG && status == ESP_OK)
    status = esp_h5_write_text(file, "/config", "{\"family\": \"mlp\"}");
  if (members & REPORT && status == ESP_OK)
    status = esp_h5_write_text(file, "/report", "{\"kept\": 1}");
  if (members & TENSORS && status == ESP_OK) {
    status = esp_h5_write_root(file, "/model/z.weight", &wide, matrix);
    if (status == ESP_OK) status = esp_h5_write_root(file, "/model/a.0.bias", &half, words);
    if (status == ESP_OK) status = esp_h5_write_root(file, "/model/empty", &none, NULL);
  }
  if (status == ESP_OK) status = esp_h5_commit(&file);
  if (status != ESP_OK) MPI_Abort(MPI_COMM_WORLD, 3);
}

static void esp_tensor_set_open_maps_what_was_written(void **state) {
  (void)state;
  esp_tensor_set *set;
  set_path("good.h5");
  write_model(GOOD | REPORT, ESP_MODEL_KIND);
  ASSERT_ALL(esp_tensor_set_open(&test_comm, path, &set) == ESP_OK);
  const esp_tensor *z = esp_tensor_set_find(set, "z.weight"),
                   *a = esp_tensor_set_find(set, "a.0.bias");
  ASSERT_ALL(z && z->type == ESP_F32 && z->rank == 2 && z->shape[0] == 2 && z->shape[1] == 3);
  ASSERT_ALL(memcmp(z->data, matrix, sizeof matrix) == 0 && esp_tensor_count_elements(z) == 6);
  ASSERT_ALL(a && a->type == ESP_BF16 && a->rank == 1 && memcmp(a->data, words, sizeof words) == 0);
  ASSERT_ALL(strcmp(set->config, "{\"family\": \"mlp\"}") == 0 &&
             strcmp(set->details, "{\"kept\": 1}") == 0);
  esp_tensor_set_close(&set);
  ASSERT_ALL(set == NULL);
}

static void esp_tensor_set_find_knows_every_name_and_no_other(void **state) {
  (void)state;
  esp_tensor_set *set;
  set_path("find.h5");
  write_model(GOOD, ESP_MODEL_KIND);
  ASSERT_ALL(esp_tensor_set_open(&test_comm, path, &set) == ESP_OK && set->n_tensors == 3);
  for (int i = 0; i < set->n_tensors; i++) {
    ASSERT_ALL(esp_tensor_set_find(set, set->tensors[i].name) == &set->tensors[i]);
    ASSERT_ALL(i == 0 || strcmp(set->tensors[i - 1].name, set->tensors[i].name) < 0);
  }
  ASSERT_ALL(!esp_tensor_set_find(set, "") && !esp_tensor_set_find(set, "b") &&
             !esp_tensor_set_find(set, "zz"));
  ASSERT_ALL(set->details == NULL &&
             esp_tensor_count_elements(esp_tensor_set_find(set, "empty")) == 0);
  esp_tensor_set_close(&set);
}

static void check_refused(esp_status code, const char *part) {
  esp_tensor_set *set;
  ASSERT_ALL(failed(esp_tensor_set_open(&test_comm, path, &set), code, part) && !set);
}

static void esp_tensor_set_open_refuses_a_file_without_its_members(void **state) {
  (void)state;
  set_path("members.h5");
  write_model(GOOD & ~META, ESP_MODEL_KIND);
  check_refused(ESP_FORMAT, "/meta");
  write_model(GOOD & ~CONFIG, ESP_MODEL_KIND);
  check_refused(ESP_FORMAT, "/config");
  write_model(GOOD & ~TENSORS, ESP_MODEL_KIND);
  check_refused(ESP_FORMAT, "/model");
  write_model(GOOD, "espalier-statistics");
  check_refused(ESP_FORMAT, "espalier-statistics");
}

static void esp_tensor_set_open_refuses_other_files(void **state) {
  (void)state;
  set_path("other");
  check_refused(ESP_IO, "No such file");
  test_write_file(path, "some text", 9);
  check_refused(ESP_FORMAT, "no checkpoint of a known format");
  strcpy(path, "/tmp");
  check_refused(ESP_FORMAT, "no checkpoint of a known format");
}

static void esp_tensor_set_open_refuses_a_truncated_file(void **state) {
  (void)state;
  struct stat about;
  set_path("cut.h5");
  write_model(GOOD, ESP_MODEL_KIND);
  if (test_comm.rank == 0 && (stat(path, &about) != 0 || truncate(path, about.st_size - 1) != 0))
    MPI_Abort(MPI_COMM_WORLD, 3);
  esp_barrier(&test_comm);
  check_refused(ESP_FORMAT, "truncated");
}

static void esp_tensor_set_open_fails_everywhere_when_one_rank_cannot(void **state) {
  (void)state;
  esp_tensor_set *set;
  set_path("shared.h5");
  write_model(GOOD, ESP_MODEL_KIND);
  for (int bad = 0; bad < test_comm.size; bad++) {
    const char *mine = test_comm.rank == bad ? "/no/such.h5" : path;
    ASSERT_ALL(failed(esp_tensor_set_open(&test_comm, mine, &set), ESP_IO, "/no/such.h5") && !set);
  }
}

/* Add a dataset to a good file, with plain HDF5 as a foreign program would. */
static void add_foreign(hid_t type, H5D_layout_t layout) {
  const hsize_t dims[1] = {8};
  if (test_comm.rank == 0) {
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT),
                space = H5Screate_simple(1, dims, NULL);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(creation, layout);
    if (layout == H5D_CHUNKED) H5Pset_chunk(creation, 1, dims);
    H5Dclose(H5Dcreate2(file, "/model/foreign", type, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
    H5Fclose(file);
  }
  esp_barrier(&test_comm);
}

static void check_foreign(hid_t type, H5D_layout_t layout, const char *part) {
  set_path("foreign.h5");
  write_model(GOOD, ESP_MODEL_KIND);
  add_foreign(type, layout);
  check_refused(ESP_FORMAT, part);
  check_refused(ESP_FORMAT, "foreign");
}

static void esp_tensor_set_open_refuses_datasets_that_cannot_be_mapped(void **state) {
  (void)state;
  check_foreign(H5T_IEEE_F32LE, H5D_CHUNKED, "chunked");
  check_foreign(H5T_IEEE_F32LE, H5D_COMPACT, "compact");
  check_foreign(H5T_IEEE_F32LE, H5D_CONTIGUOUS, "never written");
  check_foreign(H5T_IEEE_F32BE, H5D_CONTIGUOUS, "element type");
}

static void esp_tensor_set_open_refuses_a_group_among_the_tensors(void **state) {
  (void)state;
  set_path("nested.h5");
  write_model(GOOD, ESP_MODEL_KIND);
  if (test_comm.rank == 0) {
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(file, "/model/group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
  }
  esp_barrier(&test_comm);
  check_refused(ESP_FORMAT, "not a dataset");
}

static void check_meta(const char *text, const char *part) {
  char *json;
  esp_h5 *file;
  set_path("meta.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_write_text(file, "/meta", text) == ESP_OK);
  ASSERT_ALL(failed(esp_meta_read(file, "k", &json), ESP_FORMAT, part) && !json);
  esp_h5_close(&file);
}

static void esp_meta_read_refuses_what_is_not_its_kind_or_version(void **state) {
  (void)state;
  check_meta("{\"format\": \"other\", \"version\": 1}", "'k' is expected");
  check_meta("{\"format\": \"k\", \"version\": 2}", "newer");
  check_meta("{\"format\": \"k\", \"version\": \"1\"}", "version");
  check_meta("{\"version\": 1}", "format");
  check_meta("[1]", "format");
  check_meta("{", "not JSON");
}

static void esp_meta_read_gives_the_members_back(void **state) {
  (void)state;
  char *json;
  esp_h5 *file;
  set_path("extra.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_meta_write(file, "k", "{\"seed\": 3, \"format\": \"wrong\"}") == ESP_OK);
  ASSERT_ALL(esp_meta_read(file, "k", &json) == ESP_OK && strstr(json, "\"seed\": 3"));
  esp_free(&json);
  ASSERT_ALL(failed(esp_meta_read(file, "other", &json), ESP_FORMAT, "'other' is expected"));
  esp_h5_close(&file);
}

static void esp_meta_write_fails_everywhere_when_rank_0_has_no_object(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("extra.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  const char *extra = test_comm.rank == 0 ? "[1, 2" : "{}";
  ASSERT_ALL(failed(esp_meta_write(file, "k", extra), ESP_FORMAT, "not a JSON object"));
  esp_h5_close(&file);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_tensor_set_open_maps_what_was_written),
              cmocka_unit_test(esp_tensor_set_find_knows_every_name_and_no_other),
              cmocka_unit_test(esp_tensor_set_open_refuses_a_file_without_its_members),
              cmocka_unit_test(esp_tensor_set_open_refuses_other_files),
              cmocka_unit_test(esp_tensor_set_open_refuses_a_truncated_file),
              cmocka_unit_test(esp_tensor_set_open_fails_everywhere_when_one_rank_cannot),
              cmocka_unit_test(esp_tensor_set_open_refuses_datasets_that_cannot_be_mapped),
              cmocka_unit_test(esp_tensor_set_open_refuses_a_group_among_the_tensors),
              cmocka_unit_test(esp_meta_read_refuses_what_is_not_its_kind_or_version),
              cmocka_unit_test(esp_meta_read_gives_the_members_back),
              cmocka_unit_test(esp_meta_write_fails_everywhere_when_rank_0_has_no_object))
