#define _XOPEN_SOURCE 700 // SIGXCPU
#include "espalier/core/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void note(int number) {
  (void)number;
  seen = 1;
}

void esp_interrupt_catch(void) {
  struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGXCPU, &action, NULL);
}

bool esp_interrupt_seen(void) {
  return seen != 0;
}
