#include "espalier/core/status.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local char failure_text[1024];
static void (*panic_hook)(int exit_code);
static int panic_rank = -1;

const char *esp_status_name(esp_status code) {
  static const char *const names[] = {
#define X(name, text) text,
      ESP_STATUS_LIST(X)
#undef X
  };
  const unsigned index = (unsigned)code;
  return index < sizeof names / sizeof *names ? names[index] : "unknown status";
}

/* What a text quotes (a file's content, an argument) must not break its line or a terminal. */
static void replace_control_characters(char *text) {
  for (; *text; text++)
    if (iscntrl((unsigned char)*text)) *text = ' ';
}

esp_status esp_fail(esp_status code, const char *format, ...) {
  char text[sizeof failure_text]; // format may quote the last failure
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  replace_control_characters(text);
  snprintf(failure_text, sizeof failure_text, "%s", text);
  return code;
}

const char *esp_failure_text(void) {
  return failure_text;
}

void esp_set_panic_hook(void (*end_job)(int exit_code)) {
  panic_hook = end_job;
}

void esp_set_panic_rank(int rank) {
  panic_rank = rank;
}

int esp_get_panic_rank(void) {
  return panic_rank;
}

void esp_call_panic_hook(int exit_code) {
  if (panic_hook) panic_hook(exit_code);
}

void esp_panic(const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("espalier: ", stderr);
  if (panic_rank >= 0) fprintf(stderr, "rank %d: ", panic_rank);
  fprintf(stderr, "%s:%d: ", file, line);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  fflush(stderr);
  esp_call_panic_hook(70);
  abort();
}

void esp_end_job(esp_status code) {
  fputs("espalier: error: ", stderr);
  if (panic_rank >= 0) fprintf(stderr, "rank %d: ", panic_rank);
  fprintf(stderr, "%s\n", failure_text);
  fflush(stderr);
  esp_call_panic_hook((int)code);
  abort();
}
