#include "espalier/io/folder.h"

#include "espalier/core/memory.h"
#include "output.h"
#include "walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static esp_status remove_folder(const char *path);

/* Links are removed, not followed. */
static esp_status remove_entry(const char *folder, const char *name, void *state) {
  (void)state;
  struct stat about;
  char *path = esp_format("%s/%s", folder, name);
  esp_status status = ESP_OK;
  if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
    status = remove_folder(path);
  else if (unlink(path) != 0)
    status = fail_write(path, "removing it");
  esp_free(&path);
  return status;
}

static esp_status remove_folder(const char *path) {
  struct stat about;
  if (lstat(path, &about) != 0) return ESP_OK;
  if (!S_ISDIR(about.st_mode))
    return esp_fail(ESP_IO, "cannot write %s: it is in the way and not a folder; remove it", path);
  ESP_TRY(walk_folder(path, remove_entry, NULL));
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
  return walk_folder(path, refuse_entry, NULL);
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

/* rename() replaces an empty folder. */
static esp_status commit_local(const char *path) {
  char *trimmed = trim(path), *partial = esp_output_partial(trimmed);
  walk_flush(partial);
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
