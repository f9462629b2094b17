#include "espalier/io/file.h"

#include "espalier/core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { FIRST_BYTES = 1 << 16, READ_BYTES = 1 << 30, MOST_RATIO = 1032 };

/* A plain or a compressed file; gz is NULL for a plain one. */
typedef struct source {
  const char *path;
  int fd;
  gzFile gz;
} source;

typedef struct buffer {
  char *data; // owned
  int64_t bytes, capacity;
} buffer;

static esp_status fail_read(const source *from) {
  int code = Z_ERRNO;
  const char *text = from->gz ? gzerror(from->gz, &code) : NULL;
  return esp_fail(ESP_IO, "cannot read %s after it was opened: %s", from->path,
                  code == Z_ERRNO ? strerror(errno) : text);
}

static bool ends_with(const char *text, const char *end) {
  const size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The last four bytes of a gzip file tell its length unpacked, modulo 2^32: a first guess, so that
 * nothing is copied in most cases. Deflate packs by 1032 at most. */
static int64_t guess_unpacked(int fd, int64_t size) {
  unsigned char last[4];
  if (size < 4 || pread(fd, last, sizeof last, size - 4) != sizeof last) return size;
  const int64_t told = last[0] | last[1] << 8 | last[2] << 16 | (int64_t)last[3] << 24;
  return told > size && told / MOST_RATIO <= size ? told : size;
}

static esp_status open_source(const char *path, source *from, int64_t *size) {
  struct stat about;
  *from = (source){.path = path, .fd = open(path, O_RDONLY)};
  if (from->fd < 0 || fstat(from->fd, &about) != 0)
    return esp_fail(ESP_IO, "cannot open %s: %s; check the path", path, strerror(errno));
  if (S_ISDIR(about.st_mode))
    return esp_fail(ESP_IO, "cannot read %s: it is a folder, a file is expected", path);
  *size = about.st_size;
  if (!ends_with(path, ".gz")) return ESP_OK;
  *size = guess_unpacked(from->fd, *size);
  from->gz = gzdopen(from->fd, "rb"); // owns fd from here on
  if (!from->gz) esp_panic(__FILE__, __LINE__, "zlib has no memory for %s", path);
  if (gzdirect(from->gz)) return esp_fail(ESP_IO, "cannot gunzip %s: it is not a gzip file", path);
  return ESP_OK;
}

/* zlib tells at the end, not while reading, that a stream was cut. */
static esp_status close_source(source *from) {
  const int code = from->gz ? gzclose_r(from->gz) : Z_OK;
  if (!from->gz && from->fd >= 0) close(from->fd);
  if (code != Z_OK)
    return esp_fail(ESP_IO, "cannot gunzip %s: the file is cut short; get it again", from->path);
  return ESP_OK;
}

static int64_t read_some(const source *from, char *to, int64_t bytes) {
  const int64_t most = bytes < READ_BYTES ? bytes : READ_BYTES;
  if (from->gz) return gzread(from->gz, to, (unsigned)most);
  ssize_t got;
  do got = read(from->fd, to, (size_t)most);
  while (got < 0 && errno == EINTR);
  return got;
}

static void grow(buffer *into) {
  char *wider = esp_alloc(2 * into->capacity, 1);
  memcpy(wider, into->data, (size_t)into->bytes);
  esp_free(&into->data);
  into->data = wider;
  into->capacity *= 2;
}

static esp_status read_source(const source *from, buffer *into) {
  for (;;) {
    if (into->bytes + 1 >= into->capacity) grow(into);
    const int64_t room = into->capacity - 1 - into->bytes;
    const int64_t got = read_some(from, into->data + into->bytes, room);
    if (got < 0) return fail_read(from);
    if (got == 0) break;
    into->bytes += got;
  }
  into->data[into->bytes] = 0;
  return ESP_OK;
}

esp_status esp_file_read_local(const char *path, char **data, int64_t *bytes) {
  source from;
  int64_t size = 0;
  buffer into = {0};
  *data = NULL;
  *bytes = 0;
  esp_status status = open_source(path, &from, &size);
  if (status == ESP_OK) {
    into.capacity =
        (size > FIRST_BYTES ? size : FIRST_BYTES) + 2; // end of file seen without growing
    into.data = esp_alloc(into.capacity, 1);
    status = read_source(&from, &into);
  }
  const esp_status closed = close_source(&from);
  if (status == ESP_OK) status = closed;
  if (status != ESP_OK) {
    esp_free(&into.data);
    return status;
  }
  *data = into.data;
  *bytes = into.bytes;
  return ESP_OK;
}

esp_status esp_file_read(const esp_comm *comm, const char *path, char **data, int64_t *bytes) {
  *data = NULL;
  *bytes = 0;
  esp_status status = comm->rank == 0 ? esp_file_read_local(path, data, bytes) : ESP_OK;
  ESP_TRY(esp_agree(comm, status));
  esp_bcast(comm, bytes, sizeof *bytes, 0);
  if (comm->rank != 0) *data = esp_alloc(*bytes + 1, 1);
  esp_bcast(comm, *data, *bytes, 0);
  return ESP_OK;
}
