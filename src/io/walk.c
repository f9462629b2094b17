#define _DEFAULT_SOURCE // scandir, alphasort
#include "walk.h"

#include "espalier/core/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };

static int is_entry(const struct dirent *entry) {
  return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

esp_status walk_folder(const char *folder,
                       esp_status (*act)(const char *folder, const char *name, void *state),
                       void *state) {
  struct dirent **entries = NULL;
  esp_status status = ESP_OK;
  const int n = scandir(folder, &entries, is_entry, alphasort);
  if (n < 0) return esp_fail(ESP_IO, "cannot read the folder %s: %s", folder, strerror(errno));
  for (int i = 0; i < n; i++) {
    if (status == ESP_OK) status = act(folder, entries[i]->d_name, state);
    free(entries[i]);
  }
  free(entries);
  return status;
}

bool walk_matches(const char *const *patterns, const char *name) {
  for (; *patterns; patterns++)
    if (fnmatch(*patterns, name, 0) == 0) return true;
  return false;
}

void walk_flush(const char *folder) {
  const int fd = open(folder, O_RDONLY);
  if (fd < 0) return;
  fsync(fd); // a file system that cannot flush folders is no failure
  close(fd);
}

static esp_status fail_write(const char *path, const char *what) {
  return esp_fail(ESP_IO, "cannot write %s: %s: %s", path, what, strerror(errno));
}

static esp_status copy_bytes(int from, int to, const char *path, const char *target) {
  char *buffer = esp_alloc(COPY_BYTES, 1);
  esp_status status = ESP_OK;
  for (ssize_t got; status == ESP_OK && (got = read(from, buffer, COPY_BYTES)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = esp_fail(ESP_IO, "cannot read %s: %s", path, strerror(errno));
    for (ssize_t done = 0, more; status == ESP_OK && done < got; done += more) {
      more = write(to, buffer + done, (size_t)(got - done));
      if (more < 0 && errno == EINTR) more = 0;
      if (more < 0) status = fail_write(target, "writing");
    }
  }
  esp_free(&buffer);
  return status;
}

static esp_status copy_open_file(int from, const char *path, const char *target) {
  const int to = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (to < 0) return fail_write(target, "opening it");
  esp_status status = copy_bytes(from, to, path, target);
  if (status == ESP_OK && fsync(to) != 0) status = fail_write(target, "flushing it to disk");
  if (close(to) != 0 && status == ESP_OK) status = fail_write(target, "closing it");
  return status;
}

esp_status walk_copy_file(const char *path, const char *target) {
  const int from = open(path, O_RDONLY | O_NONBLOCK);
  if (from < 0) return esp_fail(ESP_IO, "cannot open %s: %s", path, strerror(errno));
  const esp_status status = copy_open_file(from, path, target);
  close(from);
  return status;
}
