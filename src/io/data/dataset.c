#include "dataset_format.h"
#include "pointer.h"

#include "espalier/core/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const esp_dataset_format *const formats[] = {
    &esp_dataset_format_idx, &esp_dataset_format_tokens, &esp_dataset_format_text};
enum { FORMAT_COUNT = sizeof formats / sizeof *formats };

static esp_status fail_format(const char *path) {
  ESP_TRY(pointer_check(path));
  char *known = esp_strdup("");
  for (int i = 0; i < FORMAT_COUNT; i++) {
    char *longer =
        esp_format("%s%s%s: %s", known, i ? "; " : "", formats[i]->name, formats[i]->holds);
    esp_free(&known);
    known = longer;
  }
  const esp_status status =
      esp_fail(ESP_FORMAT, "%s is no data set of a known format (%s)", path, known);
  esp_free(&known);
  return status;
}

static esp_status open_local(const char *path, const char *split, esp_dataset *dataset,
                             int *format) {
  struct stat about;
  if (stat(path, &about) != 0)
    return esp_fail(ESP_IO, "cannot open the data set %s: %s; check the path", path,
                    strerror(errno));
  for (*format = 0; *format < FORMAT_COUNT; ++*format)
    if (formats[*format]->probe(path)) return formats[*format]->open(path, split, dataset);
  return fail_format(path);
}

/* Give every rank what rank 0 has: a new array, or NULL. */
static void *bcast_array(const esp_comm *comm, void *array, int64_t bytes) {
  bool has = array != NULL;
  esp_bcast(comm, &has, sizeof has, 0);
  if (!has) return NULL;
  if (comm->rank != 0) array = esp_alloc(bytes, 1);
  esp_bcast(comm, array, bytes, 0);
  return array;
}

static void bcast_samples(const esp_comm *comm, esp_dataset *dataset) {
  const int64_t n = dataset->count, all = n * dataset->width, word = (int64_t)sizeof(int32_t);
  dataset->pixels = bcast_array(comm, dataset->pixels, all);
  dataset->labels = bcast_array(comm, dataset->labels, n * word);
  dataset->tokens = bcast_array(comm, dataset->tokens, all * word);
  dataset->types = bcast_array(comm, dataset->types, all * word);
  dataset->lengths = bcast_array(comm, dataset->lengths, n * word);
  if (dataset->n_targets > 0)
    dataset->targets = bcast_array(comm, dataset->targets, n * dataset->n_targets * word);
}

static void bcast_dataset(const esp_comm *comm, esp_dataset *dataset, int format) {
  struct {
    int64_t count, width;
    uint64_t fingerprint;
    int32_t classes, max_token, max_type, n_targets, kind, format;
  } head = {dataset->count,     dataset->width,         dataset->fingerprint,
            dataset->classes,   dataset->max_token,     dataset->max_type,
            dataset->n_targets, (int32_t)dataset->kind, format};
  esp_bcast(comm, &head, sizeof head, 0);
  dataset->format = formats[head.format]->name;
  dataset->kind = (esp_data_kind)head.kind;
  dataset->count = head.count;
  dataset->width = head.width;
  dataset->classes = head.classes;
  dataset->max_token = head.max_token;
  dataset->max_type = head.max_type;
  dataset->n_targets = head.n_targets;
  dataset->fingerprint = head.fingerprint;
  bcast_samples(comm, dataset);
}

esp_status esp_dataset_open(const esp_comm *comm, const char *path, const char *split,
                            esp_dataset **dataset) {
  esp_dataset *self = ESP_NEW(esp_dataset, 1);
  int format = 0;
  self->path = esp_strdup(path);
  self->split = esp_strdup(split);
  *dataset = self;
  const esp_status mine = comm->rank == 0 ? open_local(path, split, self, &format) : ESP_OK;
  const esp_status status = esp_agree(comm, mine);
  if (status == ESP_OK) bcast_dataset(comm, self, format);
  if (status != ESP_OK) esp_dataset_close(dataset);
  return status;
}

void esp_dataset_close(esp_dataset **dataset) {
  esp_dataset *self = *dataset;
  if (!self) return;
  esp_free(&self->path);
  esp_free(&self->split);
  esp_free(&self->pixels);
  esp_free(&self->labels);
  esp_free(&self->tokens);
  esp_free(&self->types);
  esp_free(&self->lengths);
  esp_free(&self->targets);
  esp_free(dataset);
}

static void make_room(const esp_dataset *dataset, int64_t count, esp_batch_buffer *buffer) {
  if (count <= buffer->capacity) return;
  esp_batch_buffer_clear(buffer);
  const int64_t all = count * dataset->width;
  if (dataset->kind == ESP_DATA_IMAGES) buffer->pixels = ESP_NEW(float, all);
  if (dataset->labels) buffer->labels = ESP_NEW(int32_t, count);
  if (dataset->kind == ESP_DATA_TOKENS) buffer->tokens = ESP_NEW(int32_t, all);
  if (dataset->types) buffer->types = ESP_NEW(int32_t, all);
  if (dataset->lengths) buffer->lengths = ESP_NEW(int32_t, count);
  if (dataset->targets) buffer->targets = ESP_NEW(float, count * dataset->n_targets);
  buffer->capacity = count;
}

static void read_pixels(const esp_dataset *dataset, int64_t sample, float *pixels) {
  const uint8_t *from = dataset->pixels + sample * dataset->width;
  for (int64_t i = 0; i < dataset->width; i++) pixels[i] = (float)from[i] / 255.0f;
}

static void copy_row(const int32_t *from, int64_t sample, int64_t width, int32_t *to, int64_t row) {
  if (from) memcpy(to + row * width, from + sample * width, (size_t)width * sizeof *to);
}

static void copy_targets(const esp_dataset *dataset, int64_t sample, float *to, int64_t row) {
  const int64_t n = dataset->n_targets;
  if (n > 0) memcpy(to + row * n, dataset->targets + sample * n, (size_t)n * sizeof *to);
}

static void read_sample(const esp_dataset *dataset, int64_t sample, int64_t row,
                        esp_batch_buffer *buffer) {
  const int64_t width = dataset->width;
  if (dataset->is_made) {
    entropy_fill(dataset, sample, buffer->pixels ? buffer->pixels + row * width : NULL,
                 buffer->tokens ? buffer->tokens + row * width : NULL);
    return;
  }
  if (dataset->pixels) read_pixels(dataset, sample, buffer->pixels + row * width);
  copy_row(dataset->labels, sample, 1, buffer->labels, row);
  copy_row(dataset->tokens, sample, width, buffer->tokens, row);
  copy_row(dataset->types, sample, width, buffer->types, row);
  copy_row(dataset->lengths, sample, 1, buffer->lengths, row);
  copy_targets(dataset, sample, buffer->targets, row);
}

void esp_dataset_read(const esp_dataset *dataset, const int64_t *order, int64_t begin,
                      int64_t count, esp_batch_buffer *buffer, esp_batch *batch) {
  ESP_ASSERT(begin >= 0 && count >= 0 && begin <= dataset->count - count);
  make_room(dataset, count, buffer);
  for (int64_t i = 0; i < count; i++) {
    const int64_t sample = order ? order[begin + i] : begin + i;
    ESP_ASSERT(sample >= 0 && sample < dataset->count);
    read_sample(dataset, sample, i, buffer);
  }
  *batch = (esp_batch){.kind = dataset->kind,
                       .count = count,
                       .width = dataset->width,
                       .pixels = buffer->pixels,
                       .tokens = buffer->tokens,
                       .lengths = buffer->lengths,
                       .types = buffer->types,
                       .labels = buffer->labels,
                       .targets = buffer->targets,
                       .n_targets = dataset->n_targets};
}

void esp_batch_buffer_clear(esp_batch_buffer *buffer) {
  esp_free(&buffer->pixels);
  esp_free(&buffer->labels);
  esp_free(&buffer->tokens);
  esp_free(&buffer->types);
  esp_free(&buffer->lengths);
  esp_free(&buffer->hidden);
  esp_free(&buffer->targets);
  *buffer = (esp_batch_buffer){0};
}
