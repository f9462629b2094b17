#include "espalier/io/folder.h"

#include "espalier/core/memory.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };

static esp_status fail_write(const char *path, const char *what) {
  return esp_fail(ESP_IO, "cannot write %s: %s: %s", path, what, strerror(errno));
}

/* Without slashes at its end, where a name would not grow. */
static char *trim(const char *path) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  return esp_format("%.*s", esp_int((int64_t)length), path);
}

static char *partial_of(const char *path) {
  char *trimmed = trim(path), *partial = esp_output_partial(trimmed);
  esp_free(&trimmed);
  return partial;
}

/* Call act(folder, name) for every entry but . and .., while it succeeds. */
static esp_status for_each(const char *folder,
                           esp_status (*act)(const char *folder, const char *name, void *state),
                           void *state) {
  DIR *open_folder = opendir(folder);
  if (!open_folder)
    return esp_fail(ESP_IO, "cannot read the folder %s: %s", folder, strerror(errno));
  esp_status status = ESP_OK;
  for (struct dirent *entry; status == ESP_OK && (entry = readdir(open_folder));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      status = act(folder, entry->d_name, state);
  closedir(open_folder);
  return status;
}

static esp_status remove_entry(const char *folder, const char *name, void *state) {
  (void)state;
  char *path = esp_format("%s/%s", folder, name);
  const esp_status status = unlink(path) == 0 ? ESP_OK : fail_write(path, "removing it");
  esp_free(&path);
  return status;
}

static esp_status remove_folder(const char *path) {
  struct stat about;
  if (lstat(path, &about) != 0) return ESP_OK;
  if (!S_ISDIR(about.st_mode))
    return esp_fail(ESP_IO, "cannot write %s: it is in the way and not a folder; remove it", path);
  ESP_TRY(for_each(path, remove_entry, NULL));
  return rmdir(path) == 0 ? ESP_OK : fail_write(path, "removing an old one");
}

static esp_status refuse_entry(const char *folder, const char *name, void *state) {
  (void)name;
  (void)state;
  return esp_fail(ESP_IO, "cannot write %s: the folder is not empty; give a new name", folder);
}

static esp_status check_target(const char *path) {
  struct stat about;
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  if (*name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return esp_fail(ESP_IO, "cannot write '%s': the name of a new folder is expected", path);
  if (stat(path, &about) != 0) return errno == ENOENT ? ESP_OK : fail_write(path, "looking at it");
  if (!S_ISDIR(about.st_mode))
    return esp_fail(ESP_IO, "cannot write %s: it is not a folder; give a new name", path);
  return for_each(path, refuse_entry, NULL);
}

static esp_status create_local(const char *path) {
  char *trimmed = trim(path), *partial = esp_output_partial(trimmed);
  esp_status status = check_target(trimmed);
  if (status == ESP_OK) status = remove_folder(partial);
  if (status == ESP_OK && mkdir(partial, 0777) != 0)
    status = fail_write(trimmed, "making .partial beside it");
  esp_free(&partial);
  esp_free(&trimmed);
  return status;
}

static esp_status see_folder_local(const esp_comm *comm, const char *partial) {
  if (access(partial, W_OK | X_OK) == 0) return ESP_OK;
  return esp_fail(ESP_IO,
                  "rank %d cannot write to %s: %s; give a path on a file system that all "
                  "nodes share",
                  comm->rank, partial, strerror(errno));
}

esp_status esp_folder_create(const esp_comm *comm, const char *path, char **partial) {
  *partial = partial_of(path);
  esp_status status = esp_agree(comm, comm->rank == 0 ? create_local(path) : ESP_OK);
  if (status == ESP_OK) {
    status = esp_agree(comm, see_folder_local(comm, *partial));
    if (status != ESP_OK) esp_folder_abandon(comm, path);
  }
  if (status != ESP_OK) esp_free(partial);
  return status;
}

static void flush_folder(const char *path) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return;
  fsync(fd); // a file system that cannot flush folders is no failure
  close(fd);
}

/* rename() replaces an empty folder. */
static esp_status commit_local(const char *path) {
  char *trimmed = trim(path), *partial = esp_output_partial(trimmed);
  flush_folder(partial);
  const esp_status status =
      rename(partial, trimmed) == 0 ? ESP_OK : fail_write(trimmed, "renaming .partial");
  if (status != ESP_OK) remove_folder(partial);
  esp_free(&partial);
  esp_free(&trimmed);
  return status;
}

esp_status esp_folder_commit(const esp_comm *comm, const char *path) {
  return esp_agree(comm, comm->rank == 0 ? commit_local(path) : ESP_OK);
}

void esp_folder_abandon(const esp_comm *comm, const char *path) {
  if (comm->rank != 0) return;
  char *partial = partial_of(path);
  remove_folder(partial);
  esp_free(&partial);
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

typedef struct copy_job {
  const char *to;
  const char *const *patterns;
  int copied;
} copy_job;

static bool matches(const char *const *patterns, const char *name) {
  for (; *patterns; patterns++)
    if (fnmatch(*patterns, name, 0) == 0) return true;
  return false;
}

static esp_status copy_entry(const char *folder, const char *name, void *state) {
  copy_job *job = state;
  struct stat about;
  if (!matches(job->patterns, name)) return ESP_OK;
  char *path = esp_format("%s/%s", folder, name), *target = esp_format("%s/%s", job->to, name);
  const int from = open(path, O_RDONLY | O_NONBLOCK);
  esp_status status = ESP_OK;
  if (from < 0 || fstat(from, &about) != 0) {
    status = esp_fail(ESP_IO, "cannot open %s: %s", path, strerror(errno));
  } else if (S_ISREG(about.st_mode)) {
    status = copy_open_file(from, path, target);
    job->copied++;
  }
  if (from >= 0) close(from);
  esp_free(&target);
  esp_free(&path);
  return status;
}

esp_status esp_folder_copy(const esp_comm *comm, const char *from, const char *to,
                           const char *const *patterns, int *copied) {
  copy_job job = {.to = to, .patterns = patterns};
  esp_output_ignore_size_signal();
  const esp_status mine = comm->rank == 0 ? for_each(from, copy_entry, &job) : ESP_OK;
  const esp_status status = esp_agree(comm, mine);
  if (status == ESP_OK) esp_bcast(comm, &job.copied, sizeof job.copied, 0);
  *copied = job.copied;
  return status;
}
