#include "output.h"

#include "espalier/core/memory.h"
#include "espalier/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MOST_LINKS = 40 }; // as the kernel follows

char *esp_output_partial(const char *path) {
  return esp_format("%s.partial", path);
}

static bool is_stdout(const char *path) {
  return strcmp(path, "-") == 0;
}

char *esp_output_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return esp_strdup(".");
  return slash == path ? esp_strdup("/") : esp_format("%.*s", (int)(slash - path), path);
}

/* What a link says, relative to the folder it lies in; NULL: it is no link. */
static char *read_link(const char *path) {
  char text[PATH_MAX];
  const ssize_t length = readlink(path, text, sizeof text - 1);
  if (length <= 0) return NULL;
  text[length] = 0;
  if (text[0] == '/' || !strchr(path, '/')) return esp_strdup(text);
  char *folder = esp_output_folder(path), *target = esp_format("%s/%s", folder, text);
  esp_free(&folder);
  return target;
}

char *esp_output_target(const char *path) {
  char *target = esp_strdup(path);
  for (int i = 0; i < MOST_LINKS; i++) {
    char *next = read_link(target);
    if (!next) return target;
    esp_free(&target);
    target = next;
  }
  esp_free(&target);
  return esp_strdup(path); // a circle: opening it says so
}

static esp_status fail_write(const char *path, const char *what) {
  return esp_fail(ESP_IO, "cannot write %s: %s: %s", path, what, strerror(errno));
}

/* A rename would replace a device or a pipe by a file. */
static esp_status check_target(const char *path) {
  struct stat about;
  if (*path == 0) return esp_fail(ESP_IO, "cannot write a file without a name; give a path");
  if (stat(path, &about) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return ESP_OK; // check_folder looks at the folder
    return fail_write(path, "looking at it");
  }
  if (S_ISDIR(about.st_mode))
    return esp_fail(ESP_IO, "cannot write %s: it is a folder; give the name of a file", path);
  if (!S_ISREG(about.st_mode))
    return esp_fail(ESP_IO, "cannot write %s: it is not a plain file; give another name", path);
  return ESP_OK;
}

static esp_status check_folder(const char *path, const char *folder) {
  struct stat about;
  if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode))
    return esp_fail(ESP_IO, "cannot write %s: there is no folder %s; make it first", path, folder);
  if (access(folder, W_OK | X_OK) != 0) return fail_write(path, "its folder");
  return ESP_OK;
}

double esp_file_count_free_local(const char *path) {
  struct statvfs about;
  char *folder = esp_output_folder(path);
  const bool is_told = statvfs(folder, &about) == 0;
  esp_free(&folder);
  return is_told ? (double)about.f_bavail * (double)about.f_frsize : -1.0;
}

static esp_status check_space(const char *path, const char *folder, int64_t bytes) {
  const double free_bytes = esp_file_count_free_local(path);
  if (bytes <= 0 || free_bytes < 0.0 || (double)bytes <= free_bytes) return ESP_OK;
  return esp_fail(
      ESP_IO,
      "cannot write %s: it needs %lld bytes, but %s has only %.0f free; free some space "
      "or write elsewhere",
      path, (long long)bytes, folder, free_bytes);
}

static esp_status remove_stale(const char *path) {
  char *partial = esp_output_partial(path), *journal = esp_format("%s.journal", path);
  esp_status status = ESP_OK;
  if (access(journal, F_OK) != 0 && unlink(partial) != 0 && errno != ENOENT)
    status = fail_write(path, "removing an old .partial");
  esp_free(&journal);
  esp_free(&partial);
  return status;
}

static esp_status check_writable_local(const char *path, int64_t bytes) {
  char *folder = esp_output_folder(path);
  esp_status status = check_target(path);
  if (status == ESP_OK) status = check_folder(path, folder);
  if (status == ESP_OK) status = check_space(path, folder, bytes);
  if (status == ESP_OK) status = remove_stale(path);
  esp_free(&folder);
  return status;
}

esp_status esp_file_check_writable(const esp_comm *comm, const char *path, int64_t bytes) {
  esp_output_ignore_size_signal();
  esp_status status = esp_output_check_limit(path, bytes);
  if (status == ESP_OK && comm->rank == 0 && !is_stdout(path))
    status = check_writable_local(path, bytes);
  return esp_agree(comm, status);
}

/* So that the new name survives a crash. A file system that cannot flush folders is no failure. */
static void flush_folder(const char *path) {
  char *folder = esp_output_folder(path);
  const int fd = open(folder, O_RDONLY);
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  esp_free(&folder);
}

static esp_status flush_file(const char *path, const char *partial) {
  const int fd = open(partial, O_RDWR);
  if (fd < 0) return fail_write(path, "opening it to flush");
  const esp_status status = fsync(fd) == 0 ? ESP_OK : fail_write(path, "flushing it to disk");
  close(fd);
  return status;
}

static esp_status commit_local(const char *path) {
  char *partial = esp_output_partial(path);
  esp_status status = check_target(path);
  if (status == ESP_OK) status = flush_file(path, partial);
  if (status == ESP_OK && rename(partial, path) != 0)
    status = fail_write(path, "renaming .partial");
  if (status == ESP_OK)
    flush_folder(path);
  else
    unlink(partial);
  esp_free(&partial);
  return status;
}

esp_status esp_file_commit(const esp_comm *comm, const char *path) {
  return esp_agree(comm, comm->rank == 0 ? commit_local(path) : ESP_OK);
}

void esp_file_abandon(const esp_comm *comm, const char *path) {
  if (comm->rank != 0 || is_stdout(path)) return;
  char *partial = esp_output_partial(path);
  unlink(partial);
  esp_free(&partial);
}

static bool write_all(int fd, const char *text, size_t bytes) {
  while (bytes > 0) {
    const ssize_t done = write(fd, text, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    text += done;
    bytes -= (size_t)done;
  }
  return true;
}

static esp_status write_stdout(const char *bytes, size_t count) {
  if (fwrite(bytes, 1, count, stdout) != count || fflush(stdout) != 0)
    return fail_write("stdout", "writing");
  return ESP_OK;
}

static esp_status write_partial(const char *path, const char *bytes, size_t count) {
  char *partial = esp_output_partial(path);
  esp_status status = ESP_OK;
  const int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd < 0 || !write_all(fd, bytes, count)) status = fail_write(path, "writing .partial");
  if (fd >= 0 && close(fd) != 0 && status == ESP_OK) status = fail_write(path, "closing .partial");
  if (fd >= 0 && status != ESP_OK) unlink(partial);
  esp_free(&partial);
  return status;
}

static esp_status write_file_local(const char *path, const char *bytes, size_t count) {
  ESP_TRY(check_writable_local(path, (int64_t)count));
  ESP_TRY(write_partial(path, bytes, count));
  return commit_local(path);
}

static esp_status write_bytes_local(const char *path, const char *bytes, size_t count) {
  if (is_stdout(path)) return write_stdout(bytes, count);
  char *target = esp_output_target(path);
  const esp_status status = write_file_local(target, bytes, count);
  esp_free(&target);
  return status;
}

esp_status esp_file_write_text(const esp_comm *comm, const char *path, const char *text) {
  return esp_file_write_bytes(comm, path, text, comm->rank == 0 ? (int64_t)strlen(text) : 0);
}

esp_status esp_file_write_bytes(const esp_comm *comm, const char *path, const char *bytes,
                                int64_t count) {
  esp_output_ignore_size_signal();
  return esp_agree(comm, comm->rank == 0 ? write_bytes_local(path, bytes, (size_t)count) : ESP_OK);
}
