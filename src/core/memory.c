#include "espalier/core/memory.h"

#include "espalier/core/status.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

void *esp_alloc(int64_t count, size_t size) {
  ESP_ASSERT(count >= 0);
  size_t bytes;
  if (__builtin_mul_overflow((size_t)count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT)
    esp_panic(__FILE__, __LINE__, "allocation of %lld x %zu bytes overflows", (long long)count,
              size);
  bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
  void *memory = aligned_alloc(ALIGNMENT, bytes);
  if (!memory)
    esp_panic(__FILE__, __LINE__, "out of memory: %zu bytes were asked for; use more nodes or fewer "
              "ranks a node", bytes);
  return memset(memory, 0, bytes);
}

void esp_release(void *memory) { free(memory); }

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

int64_t esp_peak_rss_bytes(void) { return read_status_kib("VmHWM:") * 1024; }

int64_t esp_peak_anonymous_bytes(void) {
  static int64_t peak;
  const int64_t now = read_status_kib("RssAnon:") * 1024;
  if (now > peak) peak = now;
  return peak;
}
