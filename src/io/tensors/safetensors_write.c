#include "espalier/io/safetensors_write.h"

#include "espalier/core/hash.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "output.h"
#include "safetensors_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define INDEX "model.safetensors.index.json"

struct esp_safetensors_writer {
  const esp_comm *comm; // borrowed
  char *folder;         // owned
  safetensors_layout layout;
  int64_t *n_rows;  // (n_tensors) along the first axis
  bool *is_written; // (n_tensors)
  int fd, shard;    // the file that is open, and which it is; fd -1: none
};

static char *path_of_local(const esp_safetensors_writer *self, int shard) {
  return esp_format("%s/%s", self->folder, self->layout.shards[shard].name);
}

static esp_status fail_write(const char *path, const char *what) {
  return esp_fail(ESP_IO, "cannot write %s: %s: %s", path, what, strerror(errno));
}

static bool write_at(int fd, const char *from, int64_t bytes, int64_t offset) {
  while (bytes > 0) {
    const ssize_t done = pwrite(fd, from, (size_t)bytes, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    from += done;
    offset += done;
    bytes -= done;
  }
  return true;
}

/* Everything that must be the same on all ranks. */
static uint64_t hash_layout_local(const esp_safetensors_writer *self) {
  uint64_t hash = 0;
  for (int i = 0; i < self->layout.n_shards; i++) {
    const safetensors_shard *shard = &self->layout.shards[i];
    hash = esp_hash_text(hash, shard->name);
    hash = esp_hash(hash, shard->head, (size_t)shard->head_bytes);
  }
  return hash;
}

static esp_status check_same(const esp_safetensors_writer *self) {
  const uint64_t mine = hash_layout_local(self);
  uint64_t root = mine;
  esp_bcast(self->comm, &root, sizeof root, 0);
  esp_status status = ESP_OK;
  if (root != mine)
    status = esp_fail(ESP_MISMATCH, "%s: rank %d is to write other tensors than rank 0",
                      self->folder, self->comm->rank);
  return esp_agree(self->comm, status);
}

static esp_status start_file(int fd, const char *path, const safetensors_shard *shard) {
  ESP_TRY(esp_output_reserve(fd, path, 0, shard->bytes));
  if (!write_at(fd, shard->head, shard->head_bytes, 0))
    return fail_write(path, "writing the header");
  if (ftruncate(fd, shard->bytes) != 0) return fail_write(path, "setting its size");
  return ESP_OK;
}

static esp_status make_file_local(const esp_safetensors_writer *self, int shard) {
  char *path = path_of_local(self, shard), *partial = esp_output_partial(path);
  const int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  esp_status status = fd >= 0 ? start_file(fd, path, &self->layout.shards[shard])
                              : fail_write(path, "making .partial");
  if (fd >= 0 && close(fd) != 0 && status == ESP_OK) status = fail_write(path, "closing .partial");
  esp_free(&partial);
  esp_free(&path);
  return status;
}

static esp_status make_files_local(const esp_safetensors_writer *self) {
  esp_status status = ESP_OK;
  for (int i = 0; i < self->layout.n_shards && status == ESP_OK; i++) {
    char *path = path_of_local(self, i);
    status = esp_output_check_limit(path, self->layout.shards[i].bytes);
    if (status == ESP_OK && self->comm->rank == 0) status = make_file_local(self, i);
    esp_free(&path);
  }
  return status;
}

static void keep_rows_local(esp_safetensors_writer *self, const esp_safetensors_plan *plan) {
  self->n_rows = ESP_NEW(int64_t, plan->count);
  self->is_written = ESP_NEW(bool, plan->count);
  for (int i = 0; i < plan->count; i++)
    self->n_rows[i] = plan->entries[i].rank > 0 ? plan->entries[i].shape[0] : 1;
}

esp_status esp_safetensors_create(const esp_comm *comm, const esp_safetensors_plan *plan,
                                  esp_safetensors_writer **writer) {
  esp_safetensors_writer *self = ESP_NEW(esp_safetensors_writer, 1);
  *self = (esp_safetensors_writer){.comm = comm, .folder = esp_strdup(plan->folder), .fd = -1};
  *writer = self;
  esp_output_ignore_size_signal();
  keep_rows_local(self, plan);
  esp_status status = esp_agree(comm, safetensors_layout_init(&self->layout, plan));
  if (status == ESP_OK) status = check_same(self);
  if (status == ESP_OK) status = esp_agree(comm, make_files_local(self));
  if (status != ESP_OK) esp_safetensors_close(writer);
  return status;
}

esp_safetensors_rows esp_safetensors_get_rows_local(const esp_safetensors_writer *writer,
                                                    int tensor) {
  const esp_comm *comm = writer->comm;
  const int64_t n = writer->n_rows[tensor], begin = esp_block_begin(n, comm->size, comm->rank);
  return (esp_safetensors_rows){begin, esp_block_begin(n, comm->size, comm->rank + 1) - begin};
}

/* Flushed here, since another node cannot flush what this one has written. */
static esp_status close_file_local(esp_safetensors_writer *self) {
  if (self->fd < 0) return ESP_OK;
  char *path = path_of_local(self, self->shard);
  esp_status status = fsync(self->fd) == 0 ? ESP_OK : fail_write(path, "flushing it to disk");
  if (close(self->fd) != 0 && status == ESP_OK) status = fail_write(path, "closing .partial");
  self->fd = -1;
  esp_free(&path);
  return status;
}

static esp_status open_file_local(esp_safetensors_writer *self, int shard) {
  if (self->fd >= 0 && self->shard == shard) return ESP_OK;
  ESP_TRY(close_file_local(self));
  char *path = path_of_local(self, shard), *partial = esp_output_partial(path);
  self->fd = open(partial, O_WRONLY);
  self->shard = shard;
  const esp_status status =
      self->fd >= 0
          ? ESP_OK
          : esp_fail(
                ESP_IO,
                "rank %d cannot open %s: %s; give a path on a file system that all nodes share",
                self->comm->rank, partial, strerror(errno));
  esp_free(&partial);
  esp_free(&path);
  return status;
}

/* A stripe at a time, which the disk takes while the next one is copied and checked. */
static bool write_stripes(int fd, const char *from, int64_t bytes, int64_t offset) {
  for (int64_t begin = 0; begin < bytes; begin += ESP_OUTPUT_STRIPE) {
    const int64_t left = bytes - begin, count = left < ESP_OUTPUT_STRIPE ? left : ESP_OUTPUT_STRIPE;
    if (!write_at(fd, from + begin, count, offset + begin)) return false;
    esp_output_start(fd, offset + begin, count);
  }
  return true;
}

static esp_status write_local(esp_safetensors_writer *self, int tensor, const void *rows) {
  const safetensors_place *place = &self->layout.places[tensor];
  const esp_safetensors_rows mine = esp_safetensors_get_rows_local(self, tensor);
  if (mine.count == 0 || place->bytes == 0) return ESP_OK;
  ESP_TRY(open_file_local(self, place->shard));
  const int64_t row_bytes = place->bytes / self->n_rows[tensor];
  if (write_stripes(self->fd, rows, mine.count * row_bytes, place->offset + mine.begin * row_bytes))
    return ESP_OK;
  char *path = path_of_local(self, place->shard);
  const esp_status status = fail_write(path, "writing");
  esp_free(&path);
  return status;
}

esp_status esp_safetensors_write(esp_safetensors_writer *writer, int tensor, const void *rows) {
  ESP_ASSERT(tensor >= 0 && tensor < writer->layout.n_tensors);
  writer->is_written[tensor] = true;
  return esp_agree(writer->comm, write_local(writer, tensor, rows));
}

int esp_safetensors_count_files_local(const esp_safetensors_writer *writer) {
  return writer->layout.n_shards;
}

int64_t esp_safetensors_count_bytes_local(const esp_safetensors_writer *writer) {
  int64_t bytes = 0;
  for (int i = 0; i < writer->layout.n_shards; i++) bytes += writer->layout.shards[i].bytes;
  return bytes;
}

static esp_status check_written_local(const esp_safetensors_writer *self) {
  for (int i = 0; i < self->layout.n_tensors; i++)
    if (!self->is_written[i])
      return esp_fail(ESP_MISMATCH, "%s: tensor %d of %d was not written", self->folder, i,
                      self->layout.n_tensors);
  return ESP_OK;
}

static esp_status rename_files(esp_safetensors_writer *self) {
  esp_status status = ESP_OK;
  for (int i = 0; i < self->layout.n_shards && status == ESP_OK; i++) {
    char *path = path_of_local(self, i);
    status = esp_file_commit(self->comm, path);
    esp_free(&path);
  }
  if (status != ESP_OK || !self->layout.index) return status;
  char *path = esp_format("%s/" INDEX, self->folder);
  status = esp_file_write_text(self->comm, path, self->layout.index);
  esp_free(&path);
  return status;
}

/* What a failed commit has renamed is no checkpoint. */
static void remove_renamed_local(const esp_safetensors_writer *self) {
  for (int i = 0; i < self->layout.n_shards && self->comm->rank == 0; i++) {
    char *path = path_of_local(self, i);
    unlink(path);
    esp_free(&path);
  }
}

esp_status esp_safetensors_commit(esp_safetensors_writer **writer) {
  esp_safetensors_writer *self = *writer;
  esp_status status = esp_agree(self->comm, check_written_local(self));
  if (status == ESP_OK) status = esp_agree(self->comm, close_file_local(self));
  if (status == ESP_OK) {
    status = rename_files(self);
    if (status != ESP_OK) remove_renamed_local(self);
  }
  esp_safetensors_close(writer);
  return status;
}

void esp_safetensors_close(esp_safetensors_writer **writer) {
  esp_safetensors_writer *self = *writer;
  if (!self) return;
  if (self->fd >= 0) close(self->fd);
  for (int i = 0; i < self->layout.n_shards && self->layout.shards; i++) {
    char *path = path_of_local(self, i);
    esp_file_abandon(self->comm, path);
    esp_free(&path);
  }
  safetensors_layout_clear(&self->layout);
  esp_free(&self->n_rows);
  esp_free(&self->is_written);
  esp_free(&self->folder);
  esp_free(writer);
}
