#define _GNU_SOURCE // sync_file_range; fallocate, which unlike posix_fallocate never writes every
                    // block
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void esp_output_ignore_size_signal(void) {
  struct sigaction now;
  if (sigaction(SIGXFSZ, NULL, &now) == 0 && now.sa_handler == SIG_DFL) signal(SIGXFSZ, SIG_IGN);
}

esp_status esp_output_check_limit(const char *path, int64_t bytes) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return ESP_OK;
  if ((uint64_t)bytes <= limit.rlim_cur) return ESP_OK;
  return esp_fail(
      ESP_IO,
      "cannot write %s: it needs %lld bytes, but the limit on file sizes is %llu; raise "
      "it with ulimit -f",
      path, (long long)bytes, (unsigned long long)limit.rlim_cur);
}

static esp_status check_free(int fd, const char *path, int64_t end) {
  struct statvfs disk;
  struct stat about;
  if (fstatvfs(fd, &disk) != 0 || fstat(fd, &about) != 0) return ESP_OK; // writing will tell
  const double free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
  const double needed_bytes = (double)end - 512.0 * (double)about.st_blocks;
  if (needed_bytes <= free_bytes) return ESP_OK;
  return esp_fail(ESP_IO, "cannot write %s: it needs %.0f more bytes, but only %.0f are free", path,
                  needed_bytes, free_bytes);
}

esp_status esp_output_reserve(int fd, const char *path, int64_t begin, int64_t end) {
  if (end <= begin) return ESP_OK;
#ifdef FALLOC_FL_KEEP_SIZE
  int code;
  do code = fallocate(fd, FALLOC_FL_KEEP_SIZE, begin, end - begin);
  while (code != 0 && errno == EINTR);
  if (code == 0) return ESP_OK;
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
    return esp_fail(ESP_IO, "cannot write %s: no room for %lld more bytes: %s; free some space",
                    path, (long long)(end - begin), strerror(errno));
#endif
  return check_free(fd, path, end);
}

void esp_output_start(int fd, int64_t begin, int64_t count) {
#ifdef SYNC_FILE_RANGE_WRITE
  if (sync_file_range(fd, begin, count, SYNC_FILE_RANGE_WRITE) != 0) return; // the flush will tell
#else
  (void)fd, (void)begin, (void)count;
#endif
}

void esp_output_trim(int fd) {
  struct stat about;
  if (fstat(fd, &about) == 0 && ftruncate(fd, about.st_size) != 0)
    return; // room kept, nothing lost
}
