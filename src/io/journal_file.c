#define _DEFAULT_SOURCE // flock, usleep
#include "journal_file.h"

#include "espalier/core/hash.h"
#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 24, LINE_BYTES = JOURNAL_NAME_BYTES + 64, LOCK_TRIES = 50 };

_Static_assert(JOURNAL_NAME_BYTES == 160, "take_record reads names of at most 159 bytes");

static esp_status fail(const journal_file *self, const char *what) {
  return esp_fail(ESP_IO, "%s: cannot %s: %s", self->path, what, strerror(errno));
}

static bool read_at(int fd, void *data, int64_t bytes, int64_t offset) {
  for (int64_t done = 0; done < bytes;) {
    const int64_t left = bytes - done;
    const ssize_t got =
        pread(fd, (char *)data + done, (size_t)(left < CHUNK ? left : CHUNK), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += got;
  }
  return true;
}

static bool write_at(int fd, const void *data, int64_t bytes, int64_t offset) {
  for (int64_t done = 0; done < bytes;) {
    const int64_t left = bytes - done;
    const ssize_t put =
        pwrite(fd, (const char *)data + done, (size_t)(left < CHUNK ? left : CHUNK), offset + done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    done += put;
  }
  return true;
}

static uint64_t hash_head(uint64_t chain, const char *name, int64_t bytes) {
  return esp_hash_text(esp_hash(chain, &bytes, sizeof bytes), name);
}

static uint64_t hash_payload(uint64_t chain, const char *data, int64_t bytes) {
  for (int64_t done = 0; done < bytes; done += CHUNK)
    chain = esp_hash(chain, data + done, (size_t)(bytes - done < CHUNK ? bytes - done : CHUNK));
  return chain;
}

static bool hash_stored(const journal_file *self, int64_t offset, int64_t bytes, uint64_t *chain) {
  char *chunk = ESP_NEW(char, bytes < CHUNK ? bytes : CHUNK);
  bool good = true;
  for (int64_t done = 0; done < bytes && good; done += CHUNK) {
    const int64_t n = bytes - done < CHUNK ? bytes - done : CHUNK;
    good = read_at(self->fd, chunk, n, offset + done);
    *chain = esp_hash(*chain, chunk, (size_t)n);
  }
  esp_free(&chunk);
  return good;
}

void journal_file_list(journal_file *self, const char *name, int64_t offset, int64_t bytes) {
  if (self->count == self->capacity) {
    const int capacity = self->capacity > 0 ? 2 * self->capacity : 64;
    journal_record *wider = ESP_NEW(journal_record, capacity);
    if (self->count > 0) memcpy(wider, self->records, (size_t)self->count * sizeof *self->records);
    esp_free(&self->records);
    self->records = wider;
    self->capacity = capacity;
  }
  self->records[self->count++] = (journal_record){esp_strdup(name), offset, bytes};
}

/* Take the record at self->end if it is whole: parsed, as long as it says, with the right hash. */
static bool take_record(journal_file *self, int64_t file_bytes) {
  char line[LINE_BYTES] = {0}, name[JOURNAL_NAME_BYTES];
  const int64_t left = file_bytes - self->end;
  const int64_t n = left < LINE_BYTES - 1 ? left : LINE_BYTES - 1;
  uint64_t hash;
  int64_t bytes;
  int head = 0;
  char last = 0;
  if (n <= 0 || !read_at(self->fd, line, n, self->end)) return false;
  if (sscanf(line, "%16" SCNx64 " %" SCNd64 " %159[^\n]%n", &hash, &bytes, name, &head) != 3)
    return false;
  const int64_t offset = self->end + head + 1;
  if (line[head] != '\n' || bytes < 0 || bytes >= file_bytes - offset) return false;
  uint64_t found = hash_head(self->hash, name, bytes);
  if (!hash_stored(self, offset, bytes, &found) || found != hash) return false;
  if (!read_at(self->fd, &last, 1, offset + bytes) || last != '\n') return false;
  journal_file_list(self, name, offset, bytes);
  self->hash = hash;
  self->end = offset + bytes + 1;
  return true;
}

/* Lock without waiting for ever: a run that was killed may take a moment to end. File systems
 * without locks are used without. */
static bool lock(const journal_file *self) {
  for (int i = 0; i < LOCK_TRIES; i++) {
    if (flock(self->fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) {
      esp_log_warn("%s: cannot lock it: %s; see to it yourself that no two runs write this output",
                   self->path, strerror(errno));
      return true;
    }
    usleep(100000);
  }
  return false;
}

/* The run that held the lock may have removed the file meanwhile. */
static esp_status open_locked(journal_file *self, struct stat *about) {
  do {
    if (self->fd >= 0) close(self->fd);
    self->fd = open(self->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (self->fd < 0) return fail(self, "open the journal");
    if (!lock(self))
      return esp_fail(ESP_IO,
                      "%s: another run is writing the same output; wait until it has ended, or "
                      "give another name",
                      self->path);
    if (fstat(self->fd, about) != 0) return fail(self, "look at the journal");
  } while (about->st_nlink == 0);
  return ESP_OK;
}

esp_status journal_file_open(const char *path, journal_file *self) {
  struct stat about;
  *self = (journal_file){.path = esp_strdup(path), .fd = -1};
  const esp_status status = open_locked(self, &about);
  if (status != ESP_OK) {
    journal_file_close(self);
    return status;
  }
  while (take_record(self, about.st_size)) continue;
  self->is_torn = self->end < about.st_size;
  return ESP_OK;
}

static void clear_records(journal_file *self) {
  for (int i = 0; i < self->count; i++) esp_free(&self->records[i].name);
  self->count = 0;
}

void journal_file_close(journal_file *self) {
  if (self->fd >= 0) close(self->fd);
  self->fd = -1;
  clear_records(self);
  esp_free(&self->records);
  esp_free(&self->path);
}

esp_status journal_file_empty(journal_file *self) {
  clear_records(self);
  self->hash = 0;
  self->end = 0;
  self->is_torn = false;
  return ftruncate(self->fd, 0) == 0 ? ESP_OK : fail(self, "empty the journal");
}

static const double sync_s = 1.0;

static bool flush(journal_file *self) {
  const double now = esp_now_s();
  if (self->count > 0 && now - self->synced_s < sync_s) return true;
  self->synced_s = now;
  return fsync(self->fd) == 0;
}

esp_status journal_file_sync(journal_file *self) {
  self->synced_s = esp_now_s();
  return fsync(self->fd) == 0 ? ESP_OK : fail(self, "bring the journal to disk");
}

static bool append(journal_file *self, const char *head, const void *data, int64_t bytes) {
  const int64_t offset = self->end + (int64_t)strlen(head);
  return ftruncate(self->fd, self->end) == 0 &&
         write_at(self->fd, head, (int64_t)strlen(head), self->end) &&
         write_at(self->fd, data, bytes, offset) && write_at(self->fd, "\n", 1, offset + bytes) &&
         flush(self);
}

esp_status journal_file_append(journal_file *self, const char *name, const void *data,
                               int64_t bytes) {
  char head[LINE_BYTES];
  ESP_ASSERT(strlen(name) < JOURNAL_NAME_BYTES && !strchr(name, '\n'));
  const uint64_t hash = hash_payload(hash_head(self->hash, name, bytes), data, bytes);
  snprintf(head, sizeof head, "%016" PRIx64 " %" PRId64 " %s\n", hash, bytes, name);
  if (!append(self, head, data, bytes)) return fail(self, "write the journal");
  journal_file_list(self, name, self->end + (int64_t)strlen(head), bytes);
  self->hash = hash;
  self->end += (int64_t)strlen(head) + bytes + 1;
  return ESP_OK;
}

esp_status journal_file_read(const journal_file *self, const journal_record *record, void *data) {
  if (read_at(self->fd, data, record->bytes, record->offset)) return ESP_OK;
  return fail(self, "read the journal");
}
