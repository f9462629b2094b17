#include "dataset_format.h"
#include "token_column.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"
#include "espalier/core/named.h"
#include "espalier/io/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Token files: HDF5 with /tokens (N, T) and, if wanted, /lengths (N), /token_types (N, T), /labels
 * (N) or (N, C), integers of any width (labels: or floats); or a folder with one for each split.
 * Hugging Face's names of them are known: /input_ids, /token_type_ids, and /attention_mask in place
 * of /lengths. */

static const char *const splits[] = {"train", "test", NULL};
static const char *const split_files[] = {"calibration.h5", "heldout.h5"};

static bool has_hdf5_magic(const char *path) {
  unsigned char head[4] = {0};
  const int fd = open(path, O_RDONLY | O_NONBLOCK);
  const bool read_head = fd >= 0 && read(fd, head, sizeof head) == sizeof head;
  if (fd >= 0) close(fd);
  return read_head && memcmp(head, "\x89HDF", sizeof head) == 0;
}

static bool probe(const char *path) {
  bool found = has_hdf5_magic(path);
  for (int i = 0; splits[i] && !found; i++) {
    char *file = esp_format("%s/%s", path, split_files[i]);
    found = access(file, F_OK) == 0;
    esp_free(&file);
  }
  return found;
}

/* What a file may call the same thing: our name, Hugging Face's. */
typedef struct alias {
  const char *ours, *theirs;
} alias;
static const alias aliases[] = {{"/tokens", "/input_ids"},
                                {"/token_types", "/token_type_ids"},
                                {"/lengths", "/attention_mask"},
                                {"/labels", NULL}};
enum { ALIAS_COUNT = sizeof aliases / sizeof *aliases };

static bool is_read(const char *name) {
  for (int i = 0; i < ALIAS_COUNT; i++)
    if (strcmp(name, aliases[i].ours + 1) == 0 ||
        (aliases[i].theirs && strcmp(name, aliases[i].theirs + 1) == 0))
      return true;
  return false;
}

static esp_status check_names(const token_reader *self) {
  for (int i = 0; i < ALIAS_COUNT; i++)
    if (aliases[i].theirs && esp_h5_has(self->file, aliases[i].ours) &&
        esp_h5_has(self->file, aliases[i].theirs))
      return esp_fail(ESP_FORMAT, "%s: one of %s and %s is expected, found both; leave one out",
                      self->path, aliases[i].ours, aliases[i].theirs);
  return ESP_OK;
}

/* One warning with all that is in the file and not read. */
static esp_status warn_unread(const token_reader *self) {
  esp_h5_names names;
  char *list = NULL;
  ESP_TRY(esp_h5_list_local(self->file, "/", &names));
  for (int i = 0; i < names.count; i++) {
    char *before = list;
    if (is_read(names.name[i])) continue;
    list = esp_format("%s%s/%s", before ? before : "", before ? ", " : "", names.name[i]);
    esp_free(&before);
  }
  if (list) esp_log_warn("%s: not read: %s", self->path, list);
  esp_free(&list);
  esp_h5_names_clear(&names);
  return ESP_OK;
}

/* By the name that the file has for it. */
static esp_status read_optional(const token_reader *self, token_column what, const char *theirs,
                                int32_t **values) {
  if (!esp_h5_has(self->file, what.name)) what.name = theirs;
  return what.name && esp_h5_has(self->file, what.name) ? token_column_read(self, &what, values)
                                                        : ESP_OK;
}

static esp_status fail_mask(const token_reader *self, const int32_t *mask, int64_t row) {
  return esp_fail(ESP_FORMAT,
                  "%s: /attention_mask: ones and then zeros are expected, found %s in row %lld; "
                  "write the tokens with padding on the right (padding_side='right')",
                  self->path, mask[0] ? "ones behind zeros" : "a zero first", (long long)row);
}

/* Ones of a row; 0 where they are not all in front. */
static int32_t count_ones(const int32_t *mask, int64_t width) {
  int64_t ones = 0;
  while (ones < width && mask[ones]) ones++;
  for (int64_t t = ones; t < width; t++)
    if (mask[t]) return 0;
  return (int32_t)ones;
}

/* The lengths that a mask says; NULL without a mask. */
static esp_status read_mask(const token_reader *self, int32_t **lengths) {
  const token_column what = {"/attention_mask", 2, 0, 1};
  const int64_t width = self->dims[1];
  int32_t *mask = NULL;
  esp_status status = read_optional(self, what, NULL, &mask);
  if (!mask) return status;
  *lengths = ESP_NEW(int32_t, self->dims[0]);
  for (int64_t row = 0; row < self->dims[0] && status == ESP_OK; row++) {
    (*lengths)[row] = count_ones(mask + row * width, width);
    if ((*lengths)[row] == 0) status = fail_mask(self, mask + row * width, row);
  }
  esp_free(&mask);
  return status;
}

static esp_status fail_tokens(const token_reader *self, const char *name,
                              const esp_h5_shape *shape) {
  char *found = esp_dims_format(shape->rank, shape->dims);
  const esp_status status = esp_fail(
      ESP_FORMAT, "%s: %s: (sequences, tokens) is expected, found %s", self->path, name, found);
  esp_free(&found);
  return status;
}

/* N and T. */
static esp_status read_dims(token_reader *self) {
  esp_h5_numbers found;
  const esp_h5_shape *shape = &found.shape;
  const char *name = esp_h5_has(self->file, "/input_ids") ? "/input_ids" : "/tokens";
  if (!esp_h5_has(self->file, name))
    return esp_fail(ESP_FORMAT,
                    "%s has no /tokens (nor /input_ids); a token file is expected, which analysis/ "
                    "can make from text",
                    self->path);
  ESP_TRY(esp_h5_get_numbers_local(self->file, name, &found));
  if (shape->rank != 2 || shape->dims[0] < 1 || shape->dims[1] < 1)
    return fail_tokens(self, name, shape);
  memcpy(self->dims, shape->dims, sizeof self->dims);
  return ESP_OK;
}

static esp_status read_file(token_reader *self, esp_dataset *dataset) {
  ESP_TRY(check_names(self));
  ESP_TRY(read_dims(self));
  const token_column tokens = {"/tokens", 2, 0, INT32_MAX - 1},
                     types = {"/token_types", 2, 0, INT32_MAX - 1},
                     lengths = {"/lengths", 1, 1, self->dims[1]};
  ESP_TRY(read_optional(self, tokens, "/input_ids", &dataset->tokens));
  ESP_TRY(read_optional(self, lengths, NULL, &dataset->lengths));
  ESP_TRY(read_mask(self, &dataset->lengths));
  ESP_TRY(token_labels_read(self, dataset));
  ESP_TRY(read_optional(self, types, "/token_type_ids", &dataset->types));
  ESP_TRY(warn_unread(self));
  ESP_TRY(token_padding_check(self, dataset));
  dataset->count = self->dims[0];
  dataset->width = self->dims[1];
  dataset_describe_tokens(dataset);
  return ESP_OK;
}

/* Opened on a communicator of its own, so that the collective functions serve rank 0 alone. */
static esp_status open_file(const char *path, esp_dataset *dataset) {
  esp_comm self;
  token_reader from = {.path = path};
  esp_comm_init_local(&self);
  esp_status status = esp_h5_open(&self, path, &from.file);
  if (status == ESP_OK) {
    status = read_file(&from, dataset);
    esp_h5_close(&from.file);
  }
  esp_comm_clear(&self);
  return status;
}

static esp_status open_split(const char *folder, const char *split, esp_dataset *dataset) {
  int i;
  ESP_TRY(esp_find_row("split", split, splits, sizeof *splits, &i));
  char *file = esp_format("%s/%s", folder, split_files[i]);
  const esp_status status = open_file(file, dataset);
  esp_free(&file);
  return status;
}

static esp_status open_dataset(const char *path, const char *split, esp_dataset *dataset) {
  struct stat about;
  if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) return open_split(path, split, dataset);
  return open_file(path, dataset);
}

const esp_dataset_format esp_dataset_format_tokens = {
    "tokens", "an HDF5 file with /tokens, or a folder with calibration.h5 or heldout.h5", probe,
    open_dataset};
