#include "unit.h"

#include "espalier/core/deadline.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void esp_deadline_clear_takes_the_alarm_back(void **state) {
  (void)state;
  (void)esp_fail(ESP_IO, "a disk");
  esp_deadline_set(ESP_IO);
  esp_deadline_clear();
  assert_int_equal(alarm(0), 0);
}

static void esp_deadline_clear_leaves_the_alarm_of_others(void **state) {
  (void)state;
  alarm(100);
  esp_deadline_clear();
  assert_true(alarm(0) > 0);
}

/* A deadline that passes: the child is given its signal at once. */
static int pass_deadline(char *text, size_t bytes) {
  int ends[2], status;
  assert_int_equal(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    esp_set_panic_rank(2);
    esp_deadline_set(esp_fail(ESP_IO, "cannot write x.h5"));
    (void)esp_fail(ESP_FORMAT, "what came later");
    raise(SIGALRM);
    _exit(99);
  }
  close(ends[1]);
  const ssize_t got = read(ends[0], text, bytes - 1);
  text[got > 0 ? got : 0] = 0;
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void esp_deadline_ends_with_the_failure_that_it_was_set_for(void **state) {
  (void)state;
  char text[256];
  assert_int_equal(pass_deadline(text, sizeof text), ESP_IO);
  assert_string_equal(text, "espalier: error: rank 2: cannot write x.h5\n");
}

ESP_TEST_MAIN(cmocka_unit_test(esp_deadline_clear_takes_the_alarm_back),
              cmocka_unit_test(esp_deadline_clear_leaves_the_alarm_of_others),
              cmocka_unit_test(esp_deadline_ends_with_the_failure_that_it_was_set_for))
