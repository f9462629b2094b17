#include "espalier/io/journal.h"

#include "espalier/core/interrupt.h"
#include "espalier/io/file.h"
#include "mpi.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static char output[128], path[160];

static void set_path(const char *name) {
  snprintf(output, sizeof output, "%s", test_path(name));
  snprintf(path, sizeof path, "%s.journal", output);
  esp_barrier(&test_comm);
  if (test_comm.rank == 0) unlink(path);
  esp_barrier(&test_comm);
}

static bool is_there(void) {
  esp_barrier(&test_comm);
  return access(path, F_OK) == 0;
}

static void put(const char *bytes, int64_t count) {
  test_write_file(path, bytes, (size_t)count);
}

static esp_status open_as(int bins, bool restart, esp_journal **journal) {
  json_t *description =
      json_pack("{s:s, s:{s:i, s:i}}", "model", "m", "collect", "samples", 64, "bins", bins);
  const esp_status status = esp_journal_open(&test_comm, output, description, restart, journal);
  json_decref(description);
  return status;
}

static esp_journal *reopen(void) {
  esp_journal *journal;
  ASSERT_ALL(open_as(4, false, &journal) == ESP_OK);
  return journal;
}

/* Two records, of 5 and of 0 bytes, left by an interrupted run. */
static void write_two(const char *name) {
  set_path(name);
  esp_journal *journal = reopen();
  ASSERT_ALL(esp_journal_append(journal, "first site", test_comm.rank == 0 ? "a\nb\0c" : NULL, 5) ==
             ESP_OK);
  ASSERT_ALL(esp_journal_append(journal, "second", "", 0) == ESP_OK);
  esp_journal_close(&journal, ESP_INTERRUPTED);
}

static bool failed(esp_status status, esp_status code, const char *part) {
  return status == code && strstr(esp_failure_text(), part);
}

static void esp_journal_open_without_a_file_has_no_records(void **state) {
  (void)state;
  set_path("none");
  esp_journal *journal = reopen();
  ASSERT_ALL(esp_journal_count_local(journal) == 0 && !esp_journal_is_resumed_local(journal));
  ASSERT_ALL(esp_journal_find_local(journal, "first site") == -1);
  esp_journal_close(&journal, ESP_OK);
}

static void esp_journal_append_is_read_back_by_every_rank_later(void **state) {
  (void)state;
  char data[5] = {0};
  write_two("two");
  esp_journal *journal = reopen();
  ASSERT_ALL(esp_journal_count_local(journal) == 2 && esp_journal_is_resumed_local(journal));
  ASSERT_ALL(strcmp(esp_journal_name_local(journal, 0), "first site") == 0);
  ASSERT_ALL(esp_journal_find_local(journal, "first site") == 5 &&
             esp_journal_find_local(journal, "second") == 0);
  ASSERT_ALL(esp_journal_read(journal, "first site", data) == ESP_OK);
  ASSERT_ALL(memcmp(data, "a\nb\0c", 5) == 0);
  esp_journal_close(&journal, ESP_OK);
}

static void esp_journal_append_is_read_back_at_once(void **state) {
  (void)state;
  char data[5] = {0};
  write_two("at once");
  esp_journal *journal = reopen();
  ASSERT_ALL(esp_journal_append(journal, "third", "12345", 5) == ESP_OK);
  ASSERT_ALL(esp_journal_read(journal, "third", data) == ESP_OK && memcmp(data, "12345", 5) == 0);
  esp_journal_close(&journal, ESP_OK);
}

static void esp_journal_sync_leaves_the_records(void **state) {
  (void)state;
  write_two("sync");
  esp_journal *journal = reopen();
  ASSERT_ALL(esp_journal_append(journal, "third", "12345", 5) == ESP_OK);
  ASSERT_ALL(esp_journal_sync(journal) == ESP_OK);
  esp_journal_close(&journal, ESP_INTERRUPTED);
  journal = reopen();
  ASSERT_ALL(esp_journal_count_local(journal) == 3 &&
             esp_journal_find_local(journal, "third") == 5);
  esp_journal_close(&journal, ESP_OK);
}

/* How many records a journal of these bytes has. */
static int count_of(const char *bytes, int64_t count) {
  put(bytes, count);
  esp_journal *journal = reopen();
  const int n = esp_journal_count_local(journal);
  esp_journal_close(&journal, ESP_INTERRUPTED);
  return n;
}

static void esp_journal_open_cuts_off_a_record_torn_at_any_byte(void **state) {
  (void)state;
  char *bytes;
  int64_t count;
  write_two("torn");
  ASSERT_ALL(esp_file_read(&test_comm, path, &bytes, &count) == ESP_OK);
  const int64_t second = strlen("0123456789abcdef 0 second\n\n"),
                first = strlen("0123456789abcdef 5 first site\n") + 6;
  for (int64_t cut = 0; cut < count; cut += cut < count - second - first ? 40 : 3) {
    const int expected = cut < count - second ? 0 : 1;
    ASSERT_ALL(count_of(bytes, cut) == expected);
  }
  ASSERT_ALL(count_of(bytes, count - second) == 1 && count_of(bytes, count) == 2);
  esp_free(&bytes);
}

static void esp_journal_open_takes_no_record_with_a_changed_byte(void **state) {
  (void)state;
  char *bytes;
  int64_t count;
  write_two("changed");
  ASSERT_ALL(esp_file_read(&test_comm, path, &bytes, &count) == ESP_OK);
  for (int64_t i = 0; i < count; i += 7) {
    bytes[i] ^= 1;
    ASSERT_ALL(count_of(bytes, count) < 2);
    bytes[i] ^= 1;
  }
  esp_free(&bytes);
}

static void esp_journal_append_follows_what_is_whole(void **state) {
  (void)state;
  char *bytes;
  int64_t count;
  write_two("follow");
  ASSERT_ALL(esp_file_read(&test_comm, path, &bytes, &count) == ESP_OK);
  ASSERT_ALL(count_of(bytes, count - 1) == 1);
  esp_journal *journal = reopen();
  ASSERT_ALL(esp_journal_append(journal, "again", "xy", 2) == ESP_OK);
  esp_journal_close(&journal, ESP_INTERRUPTED);
  journal = reopen();
  ASSERT_ALL(esp_journal_count_local(journal) == 2 &&
             esp_journal_find_local(journal, "again") == 2);
  esp_journal_close(&journal, ESP_OK);
  esp_free(&bytes);
}

static void esp_journal_open_refuses_another_run_and_names_the_difference(void **state) {
  (void)state;
  esp_journal *journal;
  write_two("other");
  ASSERT_ALL(failed(open_as(8, false, &journal), ESP_MISMATCH, "expected bins 4, found bins 8"));
  ASSERT_ALL(journal == NULL && is_there());
  journal = reopen();
  ASSERT_ALL(esp_journal_count_local(journal) == 2);
  esp_journal_close(&journal, ESP_OK);
}

static bool differ(const char *old, const char *new, const char *text) {
  json_t *then = json_loads(old, 0, NULL), *now = json_loads(new, 0, NULL);
  char *found = esp_journal_find_difference(then, now);
  const bool as_expected = found ? text && strcmp(found, text) == 0 : !text;
  esp_free(&found);
  json_decref(then);
  json_decref(now);
  return as_expected;
}

static void esp_journal_find_difference_names_options_as_they_are_given(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"{'options': {'a': {'b': 1}}}", "{'options': {'a': {'b': 1}}}", NULL},
      {"{'options': {'a': {'micro_batch': 1}}}", "{'options': {'a': {'micro_batch': 2}}}",
       "expected --micro-batch 1, found --micro-batch 2"},
      {"{'options': {'a': {'rate': -1}}}", "{'options': {'a': {'rate': 0.7}}}",
       "expected no --rate, found --rate 0.7"},
      {"{'options': {'a': {'stability': true}}}", "{'options': {'a': {'stability': false}}}",
       "expected --stability, found --no-stability"},
      {"{'data_fingerprint': 'ab'}", "{}",
       "expected data fingerprint ab, found no data fingerprint"}};
  for (int i = 0; i < (int)ESP_COUNT(cases); i++) {
    char *texts[2] = {esp_strdup(cases[i][0]), esp_strdup(cases[i][1])};
    for (int t = 0; t < 2; t++)
      for (char *c = texts[t]; *c; c++)
        if (*c == '\'') *c = '"';
    ASSERT_ALL(differ(texts[0], texts[1], cases[i][2]));
    for (int t = 0; t < 2; t++) esp_free(&texts[t]);
  }
}

static void esp_journal_open_drops_another_run_when_told_to(void **state) {
  (void)state;
  esp_journal *journal;
  write_two("told");
  ASSERT_ALL(open_as(8, true, &journal) == ESP_OK);
  ASSERT_ALL(esp_journal_count_local(journal) == 0 && !esp_journal_is_resumed_local(journal));
  esp_journal_close(&journal, ESP_INTERRUPTED);
  ASSERT_ALL(failed(open_as(4, false, &journal), ESP_MISMATCH, "expected bins 8, found bins 4"));
}

static void esp_journal_restart_drops_the_records(void **state) {
  (void)state;
  write_two("restart");
  esp_journal *journal = reopen();
  ASSERT_ALL(esp_journal_restart(journal) == ESP_OK);
  ASSERT_ALL(esp_journal_count_local(journal) == 0 && !esp_journal_is_resumed_local(journal));
  ASSERT_ALL(esp_journal_append(journal, "second", "", 0) == ESP_OK);
  esp_journal_close(&journal, ESP_INTERRUPTED);
  journal = reopen();
  ASSERT_ALL(esp_journal_count_local(journal) == 1);
  esp_journal_close(&journal, ESP_OK);
}

static void esp_journal_close_removes_what_nobody_goes_on_with(void **state) {
  (void)state;
  esp_journal *journal;
  write_two("close");
  journal = reopen();
  esp_journal_close(&journal, ESP_IO);
  ASSERT_ALL(journal == NULL && is_there()); // an earlier run's work
  journal = reopen();
  esp_journal_close(&journal, ESP_OK);
  ASSERT_ALL(!is_there());
  journal = reopen();
  esp_journal_close(&journal, ESP_IO);
  ASSERT_ALL(!is_there());
}

static void esp_journal_open_fails_everywhere_without_a_folder(void **state) {
  (void)state;
  esp_journal *journal;
  set_path("no/such/folder/output");
  ASSERT_ALL(failed(open_as(4, false, &journal), ESP_IO, "open the journal") && journal == NULL);
}

/* The last test: a signal is never forgotten. */
static void esp_journal_check_interrupt_sees_a_signal_to_any_rank(void **state) {
  (void)state;
  set_path("signal");
  esp_journal *journal = reopen();
  esp_interrupt_catch();
  ASSERT_ALL(esp_journal_check_interrupt(journal, "after 0 sites") == ESP_OK);
  if (test_comm.rank == test_comm.size - 1) raise(SIGTERM);
  ASSERT_ALL(failed(esp_journal_check_interrupt(journal, "after 3 sites"), ESP_INTERRUPTED,
                    "after 3 sites; give the same command again"));
  esp_journal_close(&journal, ESP_INTERRUPTED);
  ASSERT_ALL(is_there());
}

ESP_TEST_MAIN(cmocka_unit_test(esp_journal_open_without_a_file_has_no_records),
              cmocka_unit_test(esp_journal_append_is_read_back_by_every_rank_later),
              cmocka_unit_test(esp_journal_append_is_read_back_at_once),
              cmocka_unit_test(esp_journal_sync_leaves_the_records),
              cmocka_unit_test(esp_journal_open_cuts_off_a_record_torn_at_any_byte),
              cmocka_unit_test(esp_journal_open_takes_no_record_with_a_changed_byte),
              cmocka_unit_test(esp_journal_append_follows_what_is_whole),
              cmocka_unit_test(esp_journal_open_refuses_another_run_and_names_the_difference),
              cmocka_unit_test(esp_journal_find_difference_names_options_as_they_are_given),
              cmocka_unit_test(esp_journal_open_drops_another_run_when_told_to),
              cmocka_unit_test(esp_journal_restart_drops_the_records),
              cmocka_unit_test(esp_journal_close_removes_what_nobody_goes_on_with),
              cmocka_unit_test(esp_journal_open_fails_everywhere_without_a_folder),
              cmocka_unit_test(esp_journal_check_interrupt_sees_a_signal_to_any_rank))
