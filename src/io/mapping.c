#include "espalier/io/mapping.h"

#include "espalier/core/log.h"
#include "espalier/core/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 30, MOST_WAIT_RANKS = 20, WAIT_MS = 200 };

/* All that is open: of the process, since a signal is. The handler only reads. */
typedef struct mapping {
  char *begin;
  int64_t bytes;
  bool is_copy;
  char *path; // owned
  struct mapping *_Atomic next;
} mapping;
static mapping *_Atomic all_mappings;

static int handler_rank;
static void (*handler_end_job)(int exit_code);

static void add_mapping(void *begin, int64_t bytes, bool is_copy, const char *path) {
  mapping *self = ESP_NEW(mapping, 1);
  *self = (mapping){.begin = begin, .bytes = bytes, .is_copy = is_copy, .path = esp_strdup(path)};
  atomic_store(&self->next, atomic_load(&all_mappings));
  atomic_store(&all_mappings, self);
}

static esp_status read_copy(int fd, const char *path, int64_t bytes, char *copy) {
  for (int64_t done = 0; done < bytes;) {
    const int64_t left = bytes - done;
    const ssize_t got =
        pread(fd, copy + done, (size_t)(left < READ_BYTES ? left : READ_BYTES), done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return esp_fail(ESP_IO, "cannot read %s: %s", path, strerror(errno));
    if (got == 0)
      return esp_fail(ESP_IO, "cannot read %s: it was cut to %lld bytes meanwhile; get it again",
                      path, (long long)done);
    done += got;
  }
  return ESP_OK;
}

static esp_status copy_file(int fd, const char *path, int64_t bytes, const void **map) {
  esp_log_warn("%s: its file system maps no files; every rank holds a copy of %.0f MiB", path,
               (double)bytes / 0x1p20);
  char *copy = esp_alloc(bytes, 1);
  const esp_status status = read_copy(fd, path, bytes, copy);
  if (status == ESP_OK) {
    add_mapping(copy, bytes, true, path);
    *map = copy;
  } else {
    esp_free(&copy);
  }
  return status;
}

/* Private: some file systems (FUSE) refuse shared mappings, and what is only read is shared in the
 * page cache all the same. */
esp_status esp_mapping_open_local(int fd, const char *path, int64_t bytes, const void **map) {
  ESP_ASSERT(bytes > 0);
  *map = NULL;
  void *begin = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (begin == MAP_FAILED && (errno == ENODEV || errno == ENOSYS || errno == EOPNOTSUPP))
    return copy_file(fd, path, bytes, map);
  if (begin == MAP_FAILED)
    return esp_fail(ESP_IO, "cannot map the %lld bytes of %s: %s%s", (long long)bytes, path,
                    strerror(errno),
                    errno == ENOMEM ? "; raise the limit on address space (ulimit -v)" : "");
  add_mapping(begin, bytes, false, path);
  *map = begin;
  return ESP_OK;
}

void esp_mapping_close_local(const void **map) {
  mapping *_Atomic *link = &all_mappings;
  mapping *self = atomic_load(link);
  if (!*map) return;
  while (self && self->begin != *map) {
    link = &self->next;
    self = atomic_load(link);
  }
  ESP_ASSERT(self);
  atomic_store(link, atomic_load(&self->next));
  if (self->is_copy)
    esp_release(self->begin);
  else
    munmap(self->begin, (size_t)self->bytes);
  esp_free(&self->path);
  esp_free(&self);
  *map = NULL;
}

static const char *find_path(const char *address) {
  for (const mapping *at = atomic_load(&all_mappings); at; at = atomic_load(&at->next))
    if (address >= at->begin && address < at->begin + at->bytes) return at->path;
  return NULL;
}

/* Only what a signal handler may call. */
static void print(const char *text) {
  const ssize_t put = write(STDERR_FILENO, text, strlen(text));
  (void)put;
}

static void print_rank(void) {
  char digits[12];
  int at = sizeof digits - 1;
  digits[at] = 0;
  for (int rank = handler_rank; at == sizeof digits - 1 || rank > 0; rank /= 10)
    digits[--at] = (char)('0' + rank % 10);
  print(digits + at);
}

static void print_fault(const char *path) {
  print("espalier: error: rank ");
  print_rank();
  if (path) {
    print(" cannot read ");
    print(path);
    print(": the file was cut, or its disk failed, while it was read; see that nothing writes to it"
          " and give the same command again\n");
  } else {
    print(": bus error outside of any checkpoint; is the memory file system (/dev/shm) full?\n");
  }
}

/* One line from the lowest rank is enough: it ends the others, by SIGTERM first, while they wait.
 */
static void wait_for_lower_ranks(void) {
  signal(SIGTERM, SIG_DFL);
  const int turns = handler_rank < MOST_WAIT_RANKS ? handler_rank : MOST_WAIT_RANKS;
  const int wait_ms = turns * WAIT_MS;
  const struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
  nanosleep(&wait, NULL);
}

/* The signal is raised by a read of our own, not inside of MPI, so the job may be ended from here.
 */
static void end_on_fault(int number, siginfo_t *info, void *context) {
  static atomic_flag is_ending = ATOMIC_FLAG_INIT;
  (void)number;
  (void)context;
  while (atomic_flag_test_and_set(&is_ending)) pause(); // another thread is about it
  wait_for_lower_ranks();
  print_fault(find_path(info->si_addr));
  if (handler_end_job) handler_end_job(ESP_IO);
  _exit(ESP_IO);
}

void esp_mapping_catch_faults(int rank, void (*end_job)(int exit_code)) {
  struct sigaction action = {.sa_sigaction = end_on_fault, .sa_flags = SA_SIGINFO};
  handler_rank = rank;
  handler_end_job = end_job;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, NULL);
}
