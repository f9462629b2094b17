/* Panics, and what they print. */
#ifndef ESPALIER_TESTS_PANIC_H
#define ESPALIER_TESTS_PANIC_H

#include "helper.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static jmp_buf test_panic_point;

static void test_leave_panic(int exit_code) {
  longjmp(test_panic_point, exit_code);
}

static bool test_ends_in_panic(void (*action)(void)) {
  if (setjmp(test_panic_point) != 0) return true;
  action();
  return false;
}

/* Whether an action ends in the panic hook, which is unset afterwards; what went to stderr, text
 * (bytes), at most a pipe's worth. Local. */
static bool test_panics(void (*action)(void), char *text, size_t bytes) {
  int ends[2];
  const int kept = dup(STDERR_FILENO);
  fflush(stderr);
  if (kept < 0 || pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) return false;
  close(ends[1]);
  esp_set_panic_hook(test_leave_panic);
  const bool panicked = test_ends_in_panic(action);
  esp_set_panic_hook(NULL);
  fflush(stderr);
  dup2(kept, STDERR_FILENO); // closes the pipe's last writing end
  close(kept);
  const ssize_t got = read(ends[0], text, bytes - 1);
  text[got > 0 ? got : 0] = '\0';
  close(ends[0]);
  return panicked;
}

#endif
