#include "mpi.h"
#include "scratch_folder.h"

#include "espalier/io/dataset.h"

#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { COUNT = 5, ROWS = 2, COLUMNS = 3, WIDTH = ROWS * COLUMNS };

static uint8_t pixel(int sample, int i) {
  return (uint8_t)(50 * sample + 7 * i);
}

/* An IDX file in the making: a magic number, dimensions and values. */
typedef struct idx {
  uint32_t words[4];
  int n_words, n_values;
  uint8_t values[COUNT * WIDTH + 8];
} idx;

static idx images(void) {
  idx file = {.words = {0x803, COUNT, ROWS, COLUMNS}, .n_words = 4, .n_values = COUNT * WIDTH};
  for (int i = 0; i < file.n_values; i++) file.values[i] = pixel(i / WIDTH, i % WIDTH);
  return file;
}

static idx labels(void) {
  return (idx){.words = {0x801, COUNT}, .n_words = 2, .n_values = COUNT, .values = {3, 0, 6, 1, 1}};
}

/* gzopen with mode "wbT" writes plain bytes. */
static void put(const char *name, const idx *file) {
  if (test_comm.rank == 0) {
    char *path = esp_format("%s/%s", folder, name);
    gzFile out = gzopen(path, strstr(name, ".gz") ? "wb" : "wbT");
    for (int i = 0; i < file->n_words; i++)
      for (int shift = 24; shift >= 0; shift -= 8)
        gzputc(out, (int)(file->words[i] >> shift & 0xFF));
    gzwrite(out, file->values, (unsigned)file->n_values);
    if (gzclose(out) != Z_OK) MPI_Abort(MPI_COMM_WORLD, 3);
    esp_free(&path);
  }
  esp_barrier(&test_comm);
}

static void put_good(const char *suffix) {
  const idx pixels = images(), classes = labels();
  char name[64];
  snprintf(name, sizeof name, "t10k-images-idx3-ubyte%s", suffix);
  put(name, &pixels);
  snprintf(name, sizeof name, "t10k-labels-idx1-ubyte%s", suffix);
  put(name, &classes);
}

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static void check_contents(uint64_t *fingerprint) {
  esp_dataset *data;
  ASSERT_ALL(esp_dataset_open(&test_comm, folder, "test", &data) == ESP_OK);
  ASSERT_ALL(data->count == COUNT && data->width == WIDTH && data->classes == 7);
  ASSERT_ALL(strcmp(data->format, "idx") == 0 && strcmp(data->split, "test") == 0);
  ASSERT_ALL(data->kind == ESP_DATA_IMAGES && data->labels[2] == 6);
  bool same = true;
  for (int i = 0; i < COUNT * WIDTH; i++)
    same = same && data->pixels[i] == pixel(i / WIDTH, i % WIDTH);
  ASSERT_ALL(same);
  *fingerprint = data->fingerprint;
  esp_dataset_close(&data);
  ASSERT_ALL(data == NULL);
}

static void esp_dataset_open_reads_plain_and_compressed_files_alike(void **state) {
  (void)state;
  uint64_t plain = 0, packed = 1;
  make_folder("plain");
  put_good("");
  check_contents(&plain);
  make_folder("packed");
  put_good(".gz");
  check_contents(&packed);
  ASSERT_ALL(plain == packed);
}

static uint64_t fingerprint_of(const char *name, const idx *pixels, const idx *classes) {
  esp_dataset *data;
  make_folder(name);
  put("train-images-idx3-ubyte", pixels);
  put("train-labels-idx1-ubyte", classes);
  if (esp_dataset_open(&test_comm, folder, "train", &data) != ESP_OK) return 0;
  const uint64_t fingerprint = data->fingerprint;
  esp_dataset_close(&data);
  return fingerprint;
}

static void esp_dataset_open_fingerprints_pixels_labels_and_dimensions(void **state) {
  (void)state;
  idx pixels = images(), classes = labels();
  uint64_t found[4];
  found[0] = fingerprint_of("f0", &pixels, &classes);
  pixels.values[COUNT * WIDTH - 1]++;
  found[1] = fingerprint_of("f1", &pixels, &classes);
  pixels = images();
  classes.values[0]++;
  found[2] = fingerprint_of("f2", &pixels, &classes);
  classes = labels();
  pixels.words[2] = COLUMNS;
  pixels.words[3] = ROWS;
  found[3] = fingerprint_of("f3", &pixels, &classes);
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++) ASSERT_ALL(found[i] != found[j]);
}

static void check_refused(const char *name, const idx *pixels, const idx *classes,
                          const char *part) {
  esp_dataset *data;
  make_folder(name);
  put("train-images-idx3-ubyte", pixels);
  put("train-labels-idx1-ubyte.gz", classes);
  ASSERT_ALL(failed(esp_dataset_open(&test_comm, folder, "train", &data), ESP_FORMAT, part) &&
             !data);
}

static void esp_dataset_open_refuses_bad_headers_of_images(void **state) {
  (void)state;
  const idx classes = labels();
  idx bad = images();
  bad.words[0] = 0x801;
  check_refused("i0", &bad, &classes, "magic number 0x00000801, 0x00000803");
  bad = images();
  bad.words[0] = 0xD03; // floats
  check_refused("i1", &bad, &classes, "magic number 0x00000d03");
  bad = images();
  bad.words[3] = 0;
  check_refused("i2", &bad, &classes, "is empty");
  bad = images();
  bad.words[1] = bad.words[2] = bad.words[3] = UINT32_MAX; // the product overflows
  check_refused("i3", &bad, &classes, "cut short");
  bad = images();
  bad.n_words = 3;
  bad.n_values = 0;
  check_refused("i4", &bad, &classes, "header of 16 bytes");
}

static void esp_dataset_open_refuses_files_of_the_wrong_length(void **state) {
  (void)state;
  idx pixels = images(), classes = labels();
  pixels.n_values--;
  check_refused("l0", &pixels, &classes, "cut short");
  pixels.n_values += 2;
  check_refused("l1", &pixels, &classes, "trailing bytes");
  pixels = images();
  classes.n_values--;
  check_refused("l2", &pixels, &classes, "cut short");
  classes.n_values += 2;
  check_refused("l3", &pixels, &classes, "trailing bytes");
  pixels.n_words = pixels.n_values = 0;
  check_refused("l4", &pixels, &classes, "header");
}

static void esp_dataset_open_refuses_counts_that_differ(void **state) {
  (void)state;
  const idx pixels = images();
  idx classes = labels();
  classes.words[1]--;
  classes.n_values--;
  check_refused("counts", &pixels, &classes, "5 images and 4 labels");
}

static void esp_dataset_open_names_what_is_missing(void **state) {
  (void)state;
  const idx pixels = images();
  esp_dataset *data;
  const char *nowhere = "/no/such/folder";
  ASSERT_ALL(failed(esp_dataset_open(&test_comm, nowhere, "train", &data), ESP_IO, nowhere) &&
             !data);
  make_folder("missing");
  ASSERT_ALL(
      failed(esp_dataset_open(&test_comm, folder, "train", &data), ESP_FORMAT, "train-images"));
  put("train-images-idx3-ubyte.gz", &pixels);
  ASSERT_ALL(failed(esp_dataset_open(&test_comm, folder, "train", &data), ESP_IO, "train-labels"));
  ASSERT_ALL(failed(esp_dataset_open(&test_comm, folder, "test", &data), ESP_IO, "t10k-images"));
  ASSERT_ALL(failed(esp_dataset_open(&test_comm, folder, "tset", &data), ESP_USAGE, "test") &&
             !data);
}

static void esp_dataset_open_fails_everywhere_when_rank_0_alone_cannot(void **state) {
  (void)state;
  esp_dataset *data;
  make_folder("rank0");
  put_good("");
  const char *mine = test_comm.rank == 0 ? "/no/such/folder" : folder;
  ASSERT_ALL(failed(esp_dataset_open(&test_comm, mine, "test", &data), ESP_IO, "/no/such/folder"));
  ASSERT_ALL(data == NULL);
}

static void esp_dataset_read_gives_samples_in_order(void **state) {
  (void)state;
  esp_dataset *data;
  esp_batch batch;
  esp_batch_buffer buffer = {0};
  make_folder("order");
  put_good("");
  ASSERT_ALL(esp_dataset_open(&test_comm, folder, "test", &data) == ESP_OK);
  esp_dataset_read(data, NULL, 1, 3, &buffer, &batch);
  bool same = batch.count == 3 && batch.width == WIDTH && batch.kind == ESP_DATA_IMAGES;
  for (int i = 0; i < 3 * WIDTH; i++)
    same = same && batch.pixels[i] == (float)pixel(1 + i / WIDTH, i % WIDTH) / 255.0f;
  ASSERT_ALL(same && batch.labels[0] == 0 && batch.labels[1] == 6 && batch.labels[2] == 1);
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&data);
}

static void esp_dataset_read_follows_a_permutation_and_reuses_the_buffer(void **state) {
  (void)state;
  const int64_t order[COUNT] = {4, 2, 0, 1, 3};
  esp_dataset *data;
  esp_batch batch;
  esp_batch_buffer buffer = {0};
  make_folder("permuted");
  put_good("");
  ASSERT_ALL(esp_dataset_open(&test_comm, folder, "test", &data) == ESP_OK);
  esp_dataset_read(data, order, 0, COUNT, &buffer, &batch);
  const float *first = batch.pixels;
  ASSERT_ALL(batch.labels[1] == 6 && batch.pixels[WIDTH] == (float)pixel(2, 0) / 255.0f);
  esp_dataset_read(data, order, 2, 2, &buffer, &batch);
  ASSERT_ALL(batch.pixels == first && batch.labels[0] == 3 && batch.labels[1] == 0);
  esp_dataset_read(data, order, COUNT, 0, &buffer, &batch);
  ASSERT_ALL(batch.count == 0);
  esp_batch_buffer_clear(&buffer);
  esp_dataset_close(&data);
}

static void esp_dataset_open_reads_fashion_mnist(void **state) {
  (void)state;
  const char *path = "/usr/share/datasets/fashion-mnist";
  esp_dataset *data;
  if (!test_all(access(path, R_OK) == 0)) skip();
  ASSERT_ALL(esp_dataset_open(&test_comm, path, "test", &data) == ESP_OK);
  ASSERT_ALL(data->count == 10000 && data->width == 784 && data->classes == 10);
  int64_t of_class[10] = {0};
  for (int64_t i = 0; i < data->count; i++) of_class[data->labels[i]]++;
  for (int i = 0; i < 10; i++) ASSERT_ALL(of_class[i] == 1000);
  esp_dataset_close(&data);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_dataset_open_reads_plain_and_compressed_files_alike),
              cmocka_unit_test(esp_dataset_open_fingerprints_pixels_labels_and_dimensions),
              cmocka_unit_test(esp_dataset_open_refuses_bad_headers_of_images),
              cmocka_unit_test(esp_dataset_open_refuses_files_of_the_wrong_length),
              cmocka_unit_test(esp_dataset_open_refuses_counts_that_differ),
              cmocka_unit_test(esp_dataset_open_names_what_is_missing),
              cmocka_unit_test(esp_dataset_open_fails_everywhere_when_rank_0_alone_cannot),
              cmocka_unit_test(esp_dataset_read_gives_samples_in_order),
              cmocka_unit_test(esp_dataset_read_follows_a_permutation_and_reuses_the_buffer),
              cmocka_unit_test(esp_dataset_open_reads_fashion_mnist))
