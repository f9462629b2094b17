#include "espalier/core/deadline.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_S = 5, MOST_STAGGER_S = 10 };

/* Made beforehand: a handler may only write it. */
static char line[1100];
static esp_status exit_code;
static bool is_set;

static void end_on_alarm(int number) {
  (void)number;
  const ssize_t put = write(STDERR_FILENO, line, strlen(line));
  (void)put;
  esp_call_panic_hook((int)exit_code);
  _exit((int)exit_code);
}

void esp_deadline_set(esp_status code) {
  struct sigaction action = {.sa_handler = end_on_alarm};
  const int rank = esp_get_panic_rank();
  const int stagger_s = rank < MOST_STAGGER_S ? rank : MOST_STAGGER_S;
  exit_code = code;
  is_set = true;
  snprintf(line, sizeof line, "espalier: error: rank %d: %s\n", rank, esp_failure_text());
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, NULL);
  alarm((unsigned)(PATIENCE_S + (stagger_s > 0 ? stagger_s : 0)));
}

void esp_deadline_clear(void) {
  if (!is_set) return;
  is_set = false;
  alarm(0);
  signal(SIGALRM, SIG_DFL);
}
