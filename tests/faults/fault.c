/* Loaded before the C library (LD_PRELOAD): makes one call of one rank fail.
 * FAULT_CALL: its name: write, pwrite, fsync, rename, mmap, malloc, flock, open, ftruncate,
 * fallocate, unlink, mkdir, read. FAULT_NTH: which of them, from 1; 0: none. FAULT_LASTING 1: all
 * later ones too, as on a disk that stays full. FAULT_RANK: of which rank, -1: of all.
 * FAULT_ERRNO: with which number. FAULT_FOLDER: only calls on files in this folder count;
 * allocations count that the program itself asks for. FAULT_COUNTS: a file: at the end, a line
 * "RANK CALL COUNT" for every call is appended; "FAULT" when one failed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { LEAST_BYTES = 1 << 10 }; // of an allocation that counts

typedef enum call {
  CALL_WRITE,
  CALL_PWRITE,
  CALL_FSYNC,
  CALL_RENAME,
  CALL_MMAP,
  CALL_MALLOC,
  CALL_FLOCK,
  CALL_OPEN,
  CALL_FTRUNCATE,
  CALL_UNLINK,
  CALL_MKDIR,
  CALL_READ,
  CALL_FALLOCATE,
  CALLS
} call;
static const char *const names[CALLS] = {"write",  "pwrite", "fsync",    "rename",    "mmap",
                                         "malloc", "flock",  "open",     "ftruncate", "unlink",
                                         "mkdir",  "read",   "fallocate"};

static atomic_int counts[CALLS], failed;
static int chosen = -1, nth, number, rank = -1;
static bool is_lasting, is_ready;
static const char *folder;
static uintptr_t program_begin, program_end; // its code

/* The first object is the program. */
static int find_program(struct dl_phdr_info *info, size_t size, void *state) {
  (void)size;
  (void)state;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    program_begin = info->dlpi_addr + part->p_vaddr;
    program_end = program_begin + part->p_memsz;
  }
  return 1;
}

static int get_rank(void) {
  const char *text = getenv("OMPI_COMM_WORLD_RANK");
  if (!text) text = getenv("PMI_RANK");
  return text ? atoi(text) : 0;
}

static int get_number(const char *name) {
  const char *text = getenv(name);
  return text ? atoi(text) : 0;
}

__attribute__((constructor)) static void start(void) {
  const char *name = getenv("FAULT_CALL");
  rank = get_rank();
  for (int i = 0; name && i < CALLS; i++)
    if (strcmp(name, names[i]) == 0 &&
        (rank == get_number("FAULT_RANK") || get_number("FAULT_RANK") < 0))
      chosen = i;
  nth = get_number("FAULT_NTH");
  number = get_number("FAULT_ERRNO");
  is_lasting = get_number("FAULT_LASTING") != 0;
  folder = getenv("FAULT_FOLDER");
  dl_iterate_phdr(find_program, NULL);
  is_ready = folder != NULL;
}

static void append(const char *line) {
  const char *path = getenv("FAULT_COUNTS");
  const int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
  if (fd < 0) return;
  if (write(fd, line, strlen(line)) < 0) abort();
  close(fd);
}

__attribute__((destructor)) static void end(void) {
  char line[64];
  is_ready = false;
  for (int i = 0; i < CALLS; i++) {
    snprintf(line, sizeof line, "%d %s %d\n", rank, names[i], atomic_load(&counts[i]));
    append(line);
  }
}

/* Count, and say whether this one is to fail. */
static bool fails(call which) {
  const int n = atomic_fetch_add(&counts[which], 1) + 1;
  if ((int)which != chosen || nth < 1 || (is_lasting ? n < nth : n != nth)) return false;
  if (atomic_fetch_add(&failed, 1) == 0) {
    is_ready = false;
    append("FAULT\n");
    is_ready = true;
  }
  errno = number;
  return true;
}

static bool is_in_folder(const char *path) {
  if (!is_ready || !path) return false;
  return path[0] != '/' || strncmp(path, folder, strlen(folder)) == 0;
}

static bool is_file_in_folder(int fd) {
  char link[40], path[4096];
  if (!is_ready || fd < 0) return false;
  const int kept = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  errno = kept;
  if (n <= 0) return false;
  path[n] = 0;
  return path[0] == '/' && is_in_folder(path);
}

static bool is_of_program(const void *caller, size_t bytes) {
  const uintptr_t at = (uintptr_t)caller;
  return is_ready && bytes >= LEAST_BYTES && at >= program_begin && at < program_end;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A call with a file descriptor first. */
#define WRAP_FD(type, name, which, parameters, arguments) \
  type name parameters {                                  \
    if (is_file_in_folder(fd) && fails(which)) return -1; \
    return NEXT(name) arguments;                          \
  }
WRAP_FD(ssize_t, write, CALL_WRITE, (int fd, const void *data, size_t n), (fd, data, n))
WRAP_FD(ssize_t, read, CALL_READ, (int fd, void *data, size_t n), (fd, data, n))
WRAP_FD(ssize_t, pread, CALL_READ, (int fd, void *data, size_t n, off_t at), (fd, data, n, at))
WRAP_FD(ssize_t, pread64, CALL_READ, (int fd, void *data, size_t n, off64_t at), (fd, data, n, at))
WRAP_FD(ssize_t, pwrite, CALL_PWRITE, (int fd, const void *data, size_t n, off_t at),
        (fd, data, n, at))
WRAP_FD(ssize_t, pwrite64, CALL_PWRITE, (int fd, const void *data, size_t n, off64_t at),
        (fd, data, n, at))
WRAP_FD(int, fsync, CALL_FSYNC, (int fd), (fd))
WRAP_FD(int, ftruncate, CALL_FTRUNCATE, (int fd, off_t n), (fd, n))
WRAP_FD(int, ftruncate64, CALL_FTRUNCATE, (int fd, off64_t n), (fd, n))
WRAP_FD(int, fallocate, CALL_FALLOCATE, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
WRAP_FD(int, fallocate64, CALL_FALLOCATE, (int fd, int mode, off64_t at, off64_t n),
        (fd, mode, at, n))
WRAP_FD(int, flock, CALL_FLOCK, (int fd, int what), (fd, what))

#define WRAP_PATH(name, which, parameters, arguments)  \
  int name parameters {                                \
    if (is_in_folder(path) && fails(which)) return -1; \
    return NEXT(name) arguments;                       \
  }
WRAP_PATH(rename, CALL_RENAME, (const char *path, const char *to), (path, to))
WRAP_PATH(unlink, CALL_UNLINK, (const char *path), (path))
WRAP_PATH(mkdir, CALL_MKDIR, (const char *path, mode_t mode), (path, mode))

#define WRAP_OPEN(name)                                    \
  int name(const char *path, int flags, ...) {             \
    va_list rest;                                          \
    va_start(rest, flags);                                 \
    const mode_t mode = va_arg(rest, mode_t);              \
    va_end(rest);                                          \
    if (is_in_folder(path) && fails(CALL_OPEN)) return -1; \
    return NEXT(name)(path, flags, mode);                  \
  }
WRAP_OPEN(open)
WRAP_OPEN(open64)

/* Locks of records, too: what ROMIO takes. */
#define WRAP_FCNTL(name)                                                \
  int name(int fd, int command, ...) {                                  \
    va_list rest;                                                       \
    va_start(rest, command);                                            \
    void *argument = va_arg(rest, void *);                              \
    va_end(rest);                                                       \
    const bool locks = command == F_SETLK || command == F_SETLKW;       \
    if (locks && is_file_in_folder(fd) && fails(CALL_FLOCK)) return -1; \
    return NEXT(name)(fd, command, argument);                           \
  }
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

#define WRAP_MMAP(name, offset)                                             \
  void *name(void *at, size_t n, int how, int flags, int fd, offset from) { \
    if (is_file_in_folder(fd) && fails(CALL_MMAP)) return MAP_FAILED;       \
    return NEXT(name)(at, n, how, flags, fd, from);                         \
  }
WRAP_MMAP(mmap, off_t)
WRAP_MMAP(mmap64, off64_t)

void *malloc(size_t n) {
  static void *(*next)(size_t);
  if (!next) next = NEXT(malloc);
  if (is_of_program(__builtin_return_address(0), n) && fails(CALL_MALLOC)) return NULL;
  return next(n);
}
