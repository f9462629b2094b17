#include "espalier/core/memory.h"

#include "espalier/core/status.h"
#include "memory_pool.h"

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { ALIGNMENT = 64, BIG_BYTES = 1 << 20, TRIM_BYTES = 64 << 20 };

/* What stands before a block. */
typedef struct header {
  void *given;  // by malloc, or the pool
  size_t bytes; // of the pool's; 0: malloc's
} header;

/* Big blocks of libraries too are mapped one by one and go back when freed. Smaller ones come from
 * plain malloc and are aligned here: glibc's aligned_alloc can't put a block where one of the same
 * size was, and the heap grew by two activations of a micro-batch a layer. */
static void keep_big_blocks_apart(void) {
#ifdef __GLIBC__
  static atomic_flag is_done = ATOMIC_FLAG_INIT;
  if (atomic_flag_test_and_set(&is_done)) return;
  mallopt(M_MMAP_THRESHOLD, BIG_BYTES);
  mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
#endif
}

void esp_release_unused(void) {
  esp_pool_flush();
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

static void *align(header given) {
  char *const begin = given.given;
  char *const memory = begin + ALIGNMENT - (uintptr_t)begin % ALIGNMENT;
  memcpy(memory - sizeof given, &given, sizeof given);
  return memory;
}

static void *take(size_t bytes, bool is_zeroed) {
  header given = {NULL, bytes + ALIGNMENT};
  if (bytes >= BIG_BYTES) {
    keep_big_blocks_apart();
    given.given = esp_pool_take(given.bytes, is_zeroed);
    if (given.given) return align(given);
  }
  given = (header){malloc(bytes + ALIGNMENT), 0};
  if (!given.given) return NULL;
  return is_zeroed ? memset(align(given), 0, bytes) : align(given);
}

static void *allocate(int64_t count, size_t size, bool is_zeroed) {
  ESP_ASSERT(count >= 0);
  size_t bytes;
  if (__builtin_mul_overflow((size_t)count, size, &bytes) || bytes > SIZE_MAX - 2 * ALIGNMENT)
    esp_panic(__FILE__, __LINE__, "allocation of %lld x %zu bytes overflows", (long long)count,
              size);
  bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
  void *memory = take(bytes, is_zeroed);
  if (!memory)
    esp_panic(__FILE__, __LINE__,
              "out of memory: %zu bytes were asked for; use more nodes or fewer "
              "ranks a node",
              bytes);
  if (bytes >= BIG_BYTES) esp_peak_anonymous_bytes();
  return memory;
}

void *esp_alloc(int64_t count, size_t size) {
  return allocate(count, size, true);
}

void *esp_alloc_unset(int64_t count, size_t size) {
  return allocate(count, size, false);
}

void esp_release(void *memory) {
  header given;
  if (!memory) return;
  memcpy(&given, (char *)memory - sizeof given, sizeof given);
  if (given.bytes > 0)
    esp_pool_give(given.given, given.bytes);
  else
    free(given.given);
}

char *esp_strdup(const char *text) {
  const size_t bytes = strlen(text) + 1;
  return memcpy(esp_alloc((int64_t)bytes, 1), text, bytes);
}

char *esp_format(const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  const int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  ESP_ASSERT(length >= 0);
  char *text = esp_alloc((int64_t)length + 1, 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

int esp_int(int64_t value) {
  if (value < INT_MIN || value > INT_MAX)
    esp_panic(__FILE__, __LINE__, "%lld does not fit an int", (long long)value);
  return (int)value;
}

static int64_t read_status_kib(const char *field) {
  FILE *file = fopen("/proc/self/status", "r");
  if (!file) return 0;
  char line[256];
  long long kib = 0;
  const size_t length = strlen(field);
  while (fgets(line, sizeof line, file))
    if (strncmp(line, field, length) == 0 && sscanf(line + length, " %lld", &kib) == 1) break;
  fclose(file);
  return kib;
}

int64_t esp_peak_rss_bytes(void) {
  return read_status_kib("VmHWM:") * 1024;
}

/* Of the whole process, and since it was last taken. */
static _Atomic int64_t peak, recent_peak;

static int64_t raise(_Atomic int64_t *to, int64_t now) {
  int64_t last = atomic_load(to);
  while (now > last && !atomic_compare_exchange_weak(to, &last, now)) continue;
  return now > last ? now : last;
}

int64_t esp_peak_anonymous_bytes(void) {
  const int64_t now = read_status_kib("RssAnon:") * 1024;
  raise(&recent_peak, now);
  return raise(&peak, now);
}

int64_t esp_take_peak_anonymous_bytes(void) {
  esp_peak_anonymous_bytes();
  return atomic_exchange(&recent_peak, 0);
}
