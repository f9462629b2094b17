#include "dataset_format.h"

#include "espalier/core/hash.h"
#include "espalier/core/memory.h"
#include "espalier/core/named.h"
#include "espalier/io/file.h"

#include <string.h>
#include <unistd.h>

/* IDX (LeCun, MNIST): big-endian words: a magic number 0x0000TTDD (type 08 is unsigned byte, DD
 * dimensions), the dimensions, then the values. */

enum { MAGIC_IMAGES = 0x803, MAGIC_LABELS = 0x801, MAX_DIMS = 3 };

static const char *const splits[] = {"train", "test", NULL};
static const char *const prefixes[] = {"train", "t10k"};

/* Find FOLDER/PREFIX-WHAT or the same with .gz; NULL if neither is there. */
static char *find_file(const char *folder, const char *prefix, const char *what) {
  char *path = esp_format("%s/%s-%s-ubyte", folder, prefix, what);
  if (access(path, F_OK) == 0) return path;
  char *packed = esp_format("%s.gz", path);
  esp_free(&path);
  if (access(packed, F_OK) == 0) return packed;
  esp_free(&packed);
  return NULL;
}

static bool probe(const char *path) {
  bool found = false;
  for (int i = 0; splits[i] && !found; i++) {
    char *file = find_file(path, prefixes[i], "images-idx3");
    found = file != NULL;
    esp_free(&file);
  }
  return found;
}

static uint32_t read_word(const char *data, int index) {
  unsigned char bytes[4];
  memcpy(bytes, data + 4 * index, sizeof bytes);
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static esp_status check_header(const char *path, const char *data, int64_t bytes, uint32_t magic,
                               int64_t dims[MAX_DIMS]) {
  const int n_dims = (int)(magic & 0xFF), header = 4 * (1 + n_dims);
  if (bytes < header)
    return esp_fail(ESP_FORMAT,
                    "%s is cut short: an IDX header of %d bytes is expected, the file has %lld",
                    path, header, (long long)bytes);
  if (read_word(data, 0) != magic)
    return esp_fail(ESP_FORMAT,
                    "%s has the magic number 0x%08x, 0x%08x is expected for these IDX files", path,
                    read_word(data, 0), magic);
  int64_t size = 1;
  for (int d = 0; d < n_dims; d++) {
    dims[d] = read_word(data, d + 1);
    if (dims[d] == 0)
      return esp_fail(ESP_FORMAT, "%s is empty: dimension %d of its header is 0", path, d);
    if (__builtin_mul_overflow(size, dims[d], &size)) size = INT64_MAX - header;
  }
  if (bytes - header == size) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s %s: its header tells of %lld bytes of values, it has %lld; get it again",
                  path, bytes - header < size ? "is cut short" : "has trailing bytes",
                  (long long)size, (long long)(bytes - header));
}

/* Read one file; *values is the caller's, dims are those of the magic number. */
static esp_status read_file(const char *path, uint32_t magic, int64_t dims[MAX_DIMS],
                            uint8_t **values) {
  char *data;
  int64_t bytes;
  ESP_TRY(esp_file_read_local(path, &data, &bytes));
  const esp_status status = check_header(path, data, bytes, magic, dims);
  const int64_t header = 4 * (1 + (int64_t)(magic & 0xFF));
  if (status == ESP_OK)
    *values = memmove(data, data + header, (size_t)(bytes - header));
  else
    esp_free(&data);
  return status;
}

static esp_status read_split_file(const char *folder, const char *prefix, const char *what,
                                  uint32_t magic, int64_t dims[MAX_DIMS], uint8_t **values) {
  char *path = find_file(folder, prefix, what);
  if (!path)
    return esp_fail(ESP_IO, "cannot open %s/%s-%s-ubyte or %s-%s-ubyte.gz: neither is there",
                    folder, prefix, what, prefix, what);
  const esp_status status = read_file(path, magic, dims, values);
  esp_free(&path);
  return status;
}

static void take_labels(esp_dataset *dataset, const uint8_t *labels) {
  dataset->labels = ESP_NEW(int32_t, dataset->count);
  for (int64_t i = 0; i < dataset->count; i++) {
    dataset->labels[i] = labels[i];
    if (labels[i] >= dataset->classes) dataset->classes = labels[i] + 1;
  }
}

static uint64_t compute_fingerprint(const esp_dataset *dataset, const int64_t dims[MAX_DIMS]) {
  const uint64_t chain = esp_hash(0, dims, MAX_DIMS * sizeof *dims);
  const size_t count = (size_t)dataset->count;
  const uint64_t images = esp_hash(chain, dataset->pixels, count * (size_t)dataset->width);
  return esp_hash(images, dataset->labels, count * sizeof *dataset->labels);
}

static esp_status read_split(const char *path, const char *prefix, esp_dataset *dataset) {
  int64_t dims[MAX_DIMS], label_dims[MAX_DIMS];
  uint8_t *labels = NULL;
  ESP_TRY(read_split_file(path, prefix, "images-idx3", MAGIC_IMAGES, dims, &dataset->pixels));
  ESP_TRY(read_split_file(path, prefix, "labels-idx1", MAGIC_LABELS, label_dims, &labels));
  dataset->kind = ESP_DATA_IMAGES;
  dataset->count = dims[0];
  dataset->width = dims[1] * dims[2];
  esp_status status = ESP_OK;
  if (label_dims[0] != dims[0]) {
    status =
        esp_fail(ESP_FORMAT,
                 "%s: split %s has %lld images and %lld labels; the files do not belong together",
                 path, prefix, (long long)dims[0], (long long)label_dims[0]);
  } else {
    take_labels(dataset, labels);
    dataset->fingerprint = compute_fingerprint(dataset, dims);
  }
  esp_free(&labels);
  return status;
}

static esp_status open_dataset(const char *path, const char *split, esp_dataset *dataset) {
  int i;
  ESP_TRY(esp_find_row("split", split, splits, sizeof *splits, &i));
  return read_split(path, prefixes[i], dataset);
}

const esp_dataset_format esp_dataset_format_idx = {
    "idx", "train-images-idx3-ubyte[.gz] or t10k-images-idx3-ubyte[.gz]", probe, open_dataset};
