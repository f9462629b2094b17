#include "espalier/core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static esp_log_level current_level = ESP_LOG_QUIET;

void esp_log_set_level(esp_log_level level) {
  current_level = level;
}

static void print_line(const char *prefix, const char *format, va_list arguments) {
  fputs(prefix, stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

void esp_log_info(const char *format, ...) {
  if (current_level < ESP_LOG_INFO) return;
  va_list arguments;
  va_start(arguments, format);
  print_line("espalier: ", format, arguments);
  va_end(arguments);
}

void esp_log_warn(const char *format, ...) {
  if (current_level < ESP_LOG_WARN) return;
  va_list arguments;
  va_start(arguments, format);
  print_line("espalier: warning: ", format, arguments);
  va_end(arguments);
}

double esp_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void esp_progress_init(esp_progress *self, const char *what, const char *unit, int64_t total) {
  const double now = esp_now_s();
  *self = (esp_progress){.what = what, .unit = unit, .total = total, .start_s = now, .last_s = now};
}

/* "42 s", "12 min", "3 h 05 min" */
static void format_time(double seconds, char *text, size_t size) {
  const long long s = seconds < 1e12 ? (long long)(seconds + 0.5) : 0, minutes = (s + 30) / 60;
  if (s < 120)
    snprintf(text, size, "%lld s", s);
  else if (minutes < 120)
    snprintf(text, size, "%lld min", minutes);
  else
    snprintf(text, size, "%lld h %02lld min", minutes / 60, minutes % 60);
}

void esp_progress_update(esp_progress *self, int64_t done, const char *note) {
  if (current_level < ESP_LOG_INFO) return;
  const int terminal = isatty(STDERR_FILENO);
  const double now = esp_now_s(), elapsed = now - self->start_s;
  if (now - self->last_s < (terminal ? 0.2 : 10.0) || done <= self->begun) return;
  self->last_s = now;
  self->printed = true;
  const double rate = (double)(done - self->begun) / elapsed;
  char left[32];
  format_time((double)(self->total - done) / rate, left, sizeof left);
  fprintf(stderr, "%sespalier: %s %3.0f %%, %.3g %s/s, %s left%s%s%s", terminal ? "\r" : "",
          self->what, 100.0 * (double)done / (double)self->total, rate, self->unit, left,
          note ? ", " : "", note ? note : "", terminal ? "\033[K" : "\n");
  fflush(stderr);
}

void esp_progress_clear(esp_progress *self) {
  if (self->printed && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
  self->printed = false;
}
