#include "h5_internal.h"

#include "espalier/core/deadline.h"
#include "espalier/core/memory.h"
#include "espalier/io/file.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  ALIGNMENT = 64,
  CALL_BYTES = 1 << 30, // independent transfers of 2 GiB and more fail in MPI-IO
  SLACK_BYTES = 1 << 20 // what the library's own structures may grow by in one call
};

static esp_h5 *new_file_local(const esp_comm *comm, const char *path) {
  esp_h5 *self = ESP_NEW(esp_h5, 1);
  *self = (esp_h5){
      .comm = comm, .path = esp_strdup(path), .id = -1, .fd = -1, .call_bytes = CALL_BYTES};
  return self;
}

/* A full disk must show before the library writes: once it holds structures that it cannot write,
 * it can neither close the file nor keep the ranks together. So space is set aside ahead of every
 * call. */
esp_status esp_h5_reserve(esp_h5 *file, int64_t bytes) {
  int64_t end;
  esp_status status = ESP_OK;
  if (__builtin_add_overflow(file->used + SLACK_BYTES, bytes, &end))
    status = esp_fail(ESP_IO, "cannot write %s: %lld more bytes are too many", file->path,
                      (long long)bytes);
  if (status == ESP_OK) status = esp_output_check_limit(file->path, end);
  if (status == ESP_OK && file->fd >= 0)
    status = esp_output_reserve(file->fd, file->path, file->reserved, end);
  status = esp_agree(file->comm, status);
  if (status == ESP_OK && end > file->reserved) file->reserved = end;
  return status;
}

static esp_status create_partial_local(esp_h5 *file, const char *partial) {
  if (file->comm->rank != 0) return ESP_OK;
  file->fd = open(partial, O_RDWR | O_CREAT | O_TRUNC, 0666);
  if (file->fd >= 0) return ESP_OK;
  return esp_fail(ESP_IO, "cannot create %s: %s", partial, strerror(errno));
}

static esp_status see_partial_local(const esp_h5 *file, const char *partial) {
  if (access(partial, R_OK | W_OK) == 0) return ESP_OK;
  return esp_fail(
      ESP_IO,
      "rank %d cannot open %s, which rank 0 has made: %s; give a path on a file system that "
      "all nodes share",
      file->comm->rank, partial, strerror(errno));
}

static esp_status create_library_file(esp_h5 *file, const char *partial) {
  const hid_t creation = H5Pcreate(H5P_FILE_CREATE),
              access_list = esp_h5_access_new_local(file->comm);
  H5Pset_obj_track_times(creation, false);
  H5Pset_libver_bounds(access_list, H5F_LIBVER_V18,
                       H5F_LIBVER_V18); // the same bytes from any version
  H5Pset_alignment(access_list, 1, ALIGNMENT);
  file->id = H5Fcreate(partial, H5F_ACC_TRUNC, creation, access_list);
  H5Pclose(creation);
  H5Pclose(access_list);
  if (file->id >= 0) return ESP_OK;
  return esp_fail(ESP_IO, "cannot create %s: %s", partial, esp_h5_reason());
}

/* MPI-IO takes what stands before a colon for the kind of a file system ("ufs:x"). */
static esp_status check_name(const char *path) {
  if (!strchr(path, ':')) return ESP_OK;
  return esp_fail(ESP_IO,
                  "%s: expected a path of an HDF5 file without ':', which MPI-IO reads as the end "
                  "of a file system's name; rename it",
                  path);
}

esp_status esp_h5_check_writable(const esp_comm *comm, const char *path, int64_t bytes) {
  ESP_TRY(check_name(path));
  return esp_file_check_writable(comm, path, bytes);
}

static esp_status create(esp_h5 *file, const char *partial) {
  ESP_TRY(esp_h5_check_writable(file->comm, file->path, SLACK_BYTES));
  ESP_TRY(esp_agree(file->comm, create_partial_local(file, partial)));
  file->created = true;
  esp_h5_note_written_local(file->path);
  ESP_TRY(esp_agree(file->comm, see_partial_local(file, partial)));
  ESP_TRY(esp_h5_reserve(file, 0));
  ESP_TRY(esp_agree_or_end(file->comm, create_library_file(file, partial)));
  file->reserved = 0; // creating has cut the file to nothing
  return esp_h5_reserve(file, 0);
}

esp_status esp_h5_create(const esp_comm *comm, const char *path, esp_h5 **file) {
  esp_h5_init_library();
  *file = new_file_local(comm, path);
  char *partial = esp_output_partial(path);
  const esp_status status = create(*file, partial);
  esp_free(&partial);
  if (status != ESP_OK) esp_h5_close(file);
  return status;
}

/* Where a superblock tells, in 8 bytes, where the file ends; 0: not in 8 bytes. h5py's files have
 * version 0, ours 2 or 3 [HDF5 File Format Specification, II.A]. */
static size_t find_end_of_file(const unsigned char *head) {
  const bool is_old = head[8] < 2;
  if (head[8] > 3 || head[is_old ? 13 : 9] != 8) return 0;
  if (!is_old) return 28;
  return head[8] == 0 ? 40 : 44;
}

static esp_status check_length(int fd, const char *path, int64_t bytes) {
  unsigned char head[52] = {0};
  int64_t expected;
  const ssize_t n = pread(fd, head, sizeof head, 0);
  const size_t at = n < 0 ? 0 : find_end_of_file(head);
  if (at == 0 || (size_t)n < at + sizeof expected) return ESP_OK;
  memcpy(&expected, head + at, sizeof expected);
  if (expected <= bytes) return ESP_OK;
  return esp_fail(ESP_FORMAT,
                  "%s is truncated: %lld bytes expected, %lld found; write or copy it again", path,
                  (long long)expected, (long long)bytes);
}

static esp_status check_signature(int fd, const char *path, int64_t bytes) {
  static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  unsigned char head[8] = {0};
  if (bytes == 0) return esp_fail(ESP_FORMAT, "%s is empty; an HDF5 file is expected", path);
  if (pread(fd, head, sizeof head, 0) != sizeof head || memcmp(head, signature, sizeof head) != 0)
    return esp_fail(ESP_FORMAT, "%s is not an HDF5 file: its first bytes are not \\x89HDF", path);
  return check_length(fd, path, bytes);
}

static esp_status probe_library(const char *path) {
  const hid_t access_list = esp_h5_access_new_local(NULL);
  const hid_t id = H5Fopen(path, H5F_ACC_RDONLY, access_list);
  H5Pclose(access_list);
  if (id < 0)
    return esp_fail(ESP_FORMAT, "%s is a damaged HDF5 file: %s; write or copy it again", path,
                    esp_h5_reason());
  H5Fclose(id);
  return ESP_OK;
}

static esp_status probe_open(int fd, const char *path, int64_t *bytes) {
  struct stat about;
  if (fd < 0 || fstat(fd, &about) != 0)
    return esp_fail(ESP_IO, "cannot open %s: %s; check the path", path, strerror(errno));
  if (S_ISDIR(about.st_mode))
    return esp_fail(ESP_IO, "cannot read %s: it is a folder, an HDF5 file is expected", path);
  *bytes = about.st_size;
  ESP_TRY(check_signature(fd, path, about.st_size));
  return probe_library(path);
}

/* Rank 0 looks alone first, because ranks may hang in a collective open that fails on some. */
static esp_status probe_local(const char *path, int64_t *bytes) {
  const int fd = open(path, O_RDONLY | O_NONBLOCK);
  const esp_status status = probe_open(fd, path, bytes);
  if (fd >= 0) close(fd);
  return status;
}

static esp_status see_same_local(const esp_h5 *file, const char *path, int64_t bytes) {
  struct stat about;
  if (access(path, R_OK) != 0 || stat(path, &about) != 0)
    return esp_fail(ESP_IO,
                    "rank %d cannot open %s: %s; give a path on a file system that all nodes share",
                    file->comm->rank, path, strerror(errno));
  if (about.st_size == bytes) return ESP_OK;
  return esp_fail(
      ESP_IO,
      "%s has %lld bytes on rank %d and %lld on rank 0; give a path on a file system that "
      "all nodes share",
      path, (long long)about.st_size, file->comm->rank, (long long)bytes);
}

static esp_status open_library_file(esp_h5 *file, const char *path, unsigned flags) {
  const hid_t access_list = esp_h5_access_new_local(file->comm);
  file->id = H5Fopen(path, flags, access_list);
  H5Pclose(access_list);
  esp_status status = ESP_OK;
  if (file->id < 0) status = esp_fail(ESP_FORMAT, "cannot open %s: %s", path, esp_h5_reason());
  return esp_agree_or_end(file->comm, status);
}

static esp_status open_file(esp_h5 *file, const char *path, unsigned flags) {
  ESP_TRY(check_name(path));
  esp_status status = file->comm->rank == 0 ? probe_local(path, &file->bytes) : ESP_OK;
  ESP_TRY(esp_agree(file->comm, status));
  esp_bcast(file->comm, &file->bytes, sizeof file->bytes, 0);
  ESP_TRY(esp_agree(file->comm, see_same_local(file, path, file->bytes)));
  return open_library_file(file, path, flags);
}

esp_status esp_h5_open(const esp_comm *comm, const char *path, esp_h5 **file) {
  esp_h5_init_library();
  *file = new_file_local(comm, path);
  const esp_status status = open_file(*file, path, H5F_ACC_RDONLY);
  if (status != ESP_OK) esp_h5_close(file);
  return status;
}

static esp_status close_library_file(esp_h5 *file) {
  const bool failed = file->id >= 0 && H5Fclose(file->id) < 0;
  file->id = -1;
  return failed ? esp_fail(ESP_IO, "cannot finish %s: %s", file->path, esp_h5_reason()) : ESP_OK;
}

/* Flushing makes every rank's node write its pages; closing alone does not. */
esp_status esp_h5_flush(esp_h5 *file) {
  esp_status status = ESP_OK;
  if (H5Fflush(file->id, H5F_SCOPE_GLOBAL) < 0)
    status = esp_fail(ESP_IO, "cannot write %s to disk: %s", file->path, esp_h5_reason());
  return esp_agree_or_end(file->comm, status);
}

esp_status esp_h5_lay_out(const esp_comm *comm, const char *path, esp_h5 **file) {
  ESP_TRY(esp_h5_create(comm, path, file));
  (*file)->phase = H5_PHASE_LAY_OUT;
  return ESP_OK;
}

/* A file that was closed once and has had no structure changed since ends in the same bytes whether
 * or not it is closed and opened in between. */
static esp_status reopen(esp_h5 *file, const char *partial) {
  ESP_TRY(esp_h5_flush(file));
  ESP_TRY(esp_agree_or_end(file->comm, close_library_file(file)));
  return open_library_file(file, partial, H5F_ACC_RDWR);
}

esp_status esp_h5_fill(esp_h5 *file) {
  ESP_ASSERT(file->phase == H5_PHASE_LAY_OUT);
  char *partial = esp_output_partial(file->path);
  const esp_status status = reopen(file, partial);
  file->phase = H5_PHASE_FILL;
  esp_free(&partial);
  return status;
}

esp_status esp_h5_open_partial(const esp_comm *comm, const char *path, esp_h5 **file) {
  esp_h5_init_library();
  *file = new_file_local(comm, path);
  char *partial = esp_output_partial(path);
  esp_status status = open_file(*file, partial, H5F_ACC_RDWR);
  if (status == ESP_OK && comm->rank == 0) (*file)->fd = open(partial, O_RDWR);
  esp_free(&partial);
  (*file)->phase = H5_PHASE_FILL;
  esp_h5_note_written_local(path);
  if (status == ESP_OK)
    (*file)->created = true;
  else
    esp_h5_close(file);
  return status;
}

void esp_h5_keep(esp_h5 **file) {
  if (*file) (*file)->created = false; // nothing to remove
  esp_h5_close(file);
}

static esp_status commit(esp_h5 *file) {
  ESP_TRY(esp_h5_flush(file));
  ESP_TRY(esp_agree_or_end(file->comm, close_library_file(file)));
  if (file->fd >= 0) esp_output_trim(file->fd);
  file->created = false; // nothing is left to remove
  return esp_file_commit(file->comm, file->path);
}

esp_status esp_h5_commit(esp_h5 **file) {
  ESP_ASSERT(*file && (*file)->created);
  const esp_status status = commit(*file);
  esp_h5_close(file);
  return status;
}

/* The library writes what it still holds before it closes; on a full disk it needs room for that.
 */
static void drop_contents(const esp_h5 *file) {
  const bool dropped = file->fd < 0 || ftruncate(file->fd, 0) == 0;
  (void)dropped; // if it failed, closing may fail as well: there is nothing better to try
  esp_barrier(file->comm);
}

/* What has failed stays to be told. Closing a file that cannot be written, ranks may wait for each
 * other in different places of the library. */
static void give_up(esp_h5 *self) {
  char *reason = esp_strdup(esp_failure_text());
  esp_deadline_set(ESP_IO);
  drop_contents(self);
  (void)esp_agree_or_end(self->comm, close_library_file(self));
  esp_deadline_clear();
  (void)esp_fail(ESP_IO, "%s", reason);
  esp_free(&reason);
}

void esp_h5_close(esp_h5 **file) {
  esp_h5 *self = *file;
  if (!self) return;
  if (self->created)
    give_up(self);
  else
    (void)close_library_file(self);
  if (self->fd >= 0) close(self->fd);
  if (self->created) esp_file_abandon(self->comm, self->path);
  esp_free(&self->path);
  esp_free(file);
}
