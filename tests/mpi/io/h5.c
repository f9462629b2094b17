#include "h5_helper.h"

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
  for (int64_t bytes = 44; bytes < 600; bytes *= 3) {
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

/* One row a call, rank 0 first; the others take part without data. */
static void esp_h5_write_part_by_part_is_read_back(void **state) {
  (void)state;
  const esp_h5_shape table = {ESP_I32, 2, {5, 3}};
  esp_h5 *file;
  int32_t found[15], row[3];
  bool is_right = true;
  set_path("parts.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_allot(file, "parts", &table) == ESP_OK);
  for (int32_t i = 0; i < 5; i++) {
    const esp_h5_slab slab = {0, i, i % test_comm.size == test_comm.rank};
    for (int j = 0; j < 3; j++) row[j] = 10 * i + j;
    ASSERT_ALL(esp_h5_write_part(file, "parts", &slab, slab.count > 0 ? row : NULL) == ESP_OK);
  }
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_read_all(file, "parts", found) == ESP_OK);
  for (int i = 0; i < 15; i++) is_right &= found[i] == 10 * (i / 3) + i % 3;
  ASSERT_ALL(is_right);
  esp_h5_close(&file);
}

static void esp_h5_write_part_refuses_what_lies_outside_and_what_is_not_there(void **state) {
  (void)state;
  const esp_h5_shape table = {ESP_I32, 2, {5, 3}};
  const esp_h5_slab slab = {0, 4, 2}, none = {0, 0, 0};
  const int32_t rows[6] = {0};
  esp_h5 *file;
  set_path("outside.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_allot(file, "parts", &table) == ESP_OK);
  ASSERT_ALL(esp_h5_write_part(file, "parts", &slab, rows) == ESP_MISMATCH);
  ASSERT_ALL(esp_h5_write_part(file, "other", &none, NULL) == ESP_FORMAT);
  esp_h5_close(&file);
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

static void esp_h5_commit_gives_the_same_bytes_at_any_rank_count(void **state) {
  (void)state;
  char *all = NULL, *one = NULL;
  int64_t all_bytes = 0, one_bytes = 0;
  esp_comm self;
  set_path("same.h5");
  ASSERT_ALL(write_sample_file(&test_comm) == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &all, &all_bytes) == ESP_OK);
  set_path("same-alone.h5");
  esp_comm_init_local(&self);
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
  test_write_file(path, "old", 3);
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(esp_h5_write_text(file, "x", "y") == ESP_OK);
  ASSERT_ALL(esp_file_read(&test_comm, path, &data, &bytes) == ESP_OK && bytes == 3);
  esp_free(&data);
  ASSERT_ALL(esp_h5_commit(&file) == ESP_OK);
  ASSERT_ALL(access(partial, F_OK) != 0);
  ASSERT_ALL(esp_h5_open(&test_comm, path, &file) == ESP_OK);
  esp_h5_close(&file);
}

static void esp_h5_close_removes_what_was_not_committed(void **state) {
  (void)state;
  esp_h5 *file;
  set_path("closed.h5");
  ASSERT_ALL(esp_h5_create(&test_comm, path, &file) == ESP_OK);
  ASSERT_ALL(write_blocks(file, "x", &cube, 0) == ESP_OK);
  esp_h5_close(&file);
  esp_h5_close(&file);
  esp_barrier(&test_comm);
  ASSERT_ALL(file == NULL && is_absent());
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
              cmocka_unit_test(esp_h5_write_part_by_part_is_read_back),
              cmocka_unit_test(esp_h5_write_part_refuses_what_lies_outside_and_what_is_not_there),
              cmocka_unit_test(esp_h5_write_takes_fewer_rows_than_ranks),
              cmocka_unit_test(esp_h5_write_takes_an_empty_dataset),
              cmocka_unit_test(esp_h5_write_root_takes_every_type_and_a_scalar),
              cmocka_unit_test(esp_h5_write_stores_bf16_as_a_float_that_the_library_can_convert),
              cmocka_unit_test(esp_h5_write_aligns_datasets_and_stores_no_times),
              cmocka_unit_test(esp_h5_commit_gives_the_same_bytes_at_any_rank_count),
              cmocka_unit_test(esp_h5_commit_leaves_no_more_disk_space_than_the_file_needs),
              cmocka_unit_test(esp_h5_commit_replaces_a_file_only_at_the_end),
              cmocka_unit_test(esp_h5_close_removes_what_was_not_committed),
              cmocka_unit_test(esp_h5_read_fails_everywhere_when_one_slab_lies_outside),
              cmocka_unit_test(esp_h5_read_takes_slabs_that_overlap_and_ranks_without_data),
              cmocka_unit_test(esp_h5_read_text_gives_every_rank_rank_0s_text),
              cmocka_unit_test(esp_h5_read_text_refuses_what_is_no_text),
              cmocka_unit_test(esp_h5_has_knows_groups_datasets_and_missing_parents),
              cmocka_unit_test(esp_h5_expect_shape_tells_what_is_wrong),
              cmocka_unit_test(esp_h5_get_shape_refuses_foreign_types_and_ranks))
