#include "pointer.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char beginning[] = "version https://git-lfs.github.com/";

bool pointer_begins_with(const void *head) {
  return memcmp(head, beginning, POINTER_HEAD_BYTES) == 0;
}

esp_status pointer_fail(const char *path) {
  return esp_fail(ESP_FORMAT,
                  "%s is a pointer of git-lfs, not the file itself; fetch it with git lfs pull, or "
                  "download it",
                  path);
}

esp_status pointer_check(const char *path) {
  char head[POINTER_HEAD_BYTES] = {0};
  const int fd = open(path, O_RDONLY | O_NONBLOCK);
  const bool is_read = fd >= 0 && read(fd, head, sizeof head) == sizeof head;
  if (fd >= 0) close(fd);
  return is_read && pointer_begins_with(head) ? pointer_fail(path) : ESP_OK;
}
