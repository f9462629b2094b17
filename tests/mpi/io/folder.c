#include "mpi.h"

#include "espalier/io/folder.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[128];

static void set_base(const char *name) {
  snprintf(base, sizeof base, "%s", test_path(name));
}

/* What rank 0 sees of "BASE" + suffix. */
static bool is_there(const char *suffix) {
  char path[192];
  snprintf(path, sizeof path, "%s%s", base, suffix);
  int there = access(path, F_OK) == 0;
  esp_bcast(&test_comm, &there, sizeof there, 0);
  return there != 0;
}

static void make(const char *suffix) {
  char path[192];
  snprintf(path, sizeof path, "%s%s", base, suffix);
  test_make_folder(path);
}

static void put(const char *suffix, const char *bytes, size_t count) {
  char path[192];
  snprintf(path, sizeof path, "%s%s", base, suffix);
  test_write_file(path, bytes, count);
}

static bool failed(esp_status status, const char *part) {
  return status == ESP_IO && strstr(esp_failure_text(), part);
}

static void esp_folder_commit_shows_the_whole_folder(void **state) {
  (void)state;
  char *partial;
  set_base("whole");
  ASSERT_ALL(esp_folder_create(&test_comm, base, &partial) == ESP_OK);
  ASSERT_ALL(is_there(".partial") && !is_there(""));
  put(".partial/file", "x", 1);
  ASSERT_ALL(esp_folder_commit(&test_comm, base) == ESP_OK);
  ASSERT_ALL(is_there("/file") && !is_there(".partial"));
  esp_free(&partial);
}

static void esp_folder_commit_takes_the_place_of_an_empty_folder(void **state) {
  (void)state;
  char *partial, slashes[192];
  set_base("empty");
  make("");
  snprintf(slashes, sizeof slashes, "%s//", base);
  ASSERT_ALL(esp_folder_create(&test_comm, slashes, &partial) == ESP_OK);
  put(".partial/file", "x", 1);
  ASSERT_ALL(esp_folder_commit(&test_comm, slashes) == ESP_OK && is_there("/file"));
  esp_free(&partial);
}

static void esp_folder_commit_fails_when_the_name_was_taken_meanwhile(void **state) {
  (void)state;
  char *partial;
  set_base("race");
  ASSERT_ALL(esp_folder_create(&test_comm, base, &partial) == ESP_OK);
  make("");
  put("/file", "x", 1);
  ASSERT_ALL(failed(esp_folder_commit(&test_comm, base), "renaming"));
  ASSERT_ALL(!is_there(".partial") && is_there("/file"));
  esp_free(&partial);
}

static void esp_folder_create_removes_what_an_earlier_run_left(void **state) {
  (void)state;
  char *partial;
  set_base("stale");
  make(".partial");
  put(".partial/old", "x", 1);
  ASSERT_ALL(esp_folder_create(&test_comm, base, &partial) == ESP_OK);
  ASSERT_ALL(is_there(".partial") && !is_there(".partial/old"));
  esp_folder_abandon(&test_comm, base);
  esp_barrier(&test_comm);
  ASSERT_ALL(!is_there(".partial"));
  esp_free(&partial);
}

static void check_refused(const char *suffix, const char *part) {
  char path[192], *partial;
  snprintf(path, sizeof path, "%s%s", base, suffix);
  ASSERT_ALL(failed(esp_folder_create(&test_comm, path, &partial), part) && !partial);
}

static void esp_folder_create_refuses_targets_that_cannot_be(void **state) {
  (void)state;
  set_base("refused");
  check_refused("/sub", "No such file");
  make("");
  put("/file", "x", 1);
  check_refused("", "not empty");
  check_refused("/", "not empty");
  check_refused("/file", "not a folder");
  check_refused("/..", "name of a new folder");
  put("/new.partial", "x", 1);
  check_refused("/new", "in the way");
  ASSERT_ALL(is_there("/file") && is_there("/new.partial"));
}

static void esp_folder_create_fails_everywhere_when_one_rank_does_not_see_it(void **state) {
  (void)state;
  char *partial;
  set_base("seen");
  for (int bad = 0; bad < test_comm.size; bad++) {
    const char *mine = test_comm.rank == bad ? "/no/such/folder" : base;
    ASSERT_ALL(failed(esp_folder_create(&test_comm, mine, &partial), "/no/such/folder"));
    esp_barrier(&test_comm);
    ASSERT_ALL(!partial && !is_there(".partial"));
  }
}

static void esp_folder_copy_copies_what_matches_byte_for_byte(void **state) {
  (void)state;
  static const char *const patterns[] = {"token*", "vocab.*", NULL};
  static const char bytes[] = "\0\1\xff\n\r";
  char to[192], found[sizeof bytes + 1] = {0};
  int copied = -1;
  set_base("source");
  make("");
  make("/to");
  make("/token_folder");
  put("/tokenizer.json", bytes, sizeof bytes);
  put("/vocab.txt", "", 0);
  put("/README.md", "no", 2);
  snprintf(to, sizeof to, "%s/to", base);
  ASSERT_ALL(esp_folder_copy(&test_comm, base, to, patterns, &copied) == ESP_OK && copied == 2);
  ASSERT_ALL(is_there("/to/vocab.txt") && !is_there("/to/README.md") &&
             !is_there("/to/token_folder"));
  snprintf(to, sizeof to, "%s/to/tokenizer.json", base);
  FILE *file = fopen(to, "rb");
  ASSERT_ALL(file && fread(found, 1, sizeof found, file) == sizeof bytes);
  ASSERT_ALL(memcmp(found, bytes, sizeof bytes) == 0 && fclose(file) == 0);
}

static void esp_folder_copy_copies_more_than_a_buffer(void **state) {
  (void)state;
  static const char *const patterns[] = {"*.model", NULL};
  enum { BYTES = (1 << 20) + 17 };
  char to[192];
  int copied;
  struct stat about;
  set_base("large");
  make("");
  make("/to");
  char *bytes = esp_alloc(BYTES, 1);
  put("/a.model", bytes, BYTES);
  esp_free(&bytes);
  snprintf(to, sizeof to, "%s/to", base);
  ASSERT_ALL(esp_folder_copy(&test_comm, base, to, patterns, &copied) == ESP_OK && copied == 1);
  snprintf(to, sizeof to, "%s/to/a.model", base);
  ASSERT_ALL(stat(to, &about) == 0 && about.st_size == BYTES);
}

static void esp_folder_copy_fails_everywhere_when_it_cannot(void **state) {
  (void)state;
  static const char *const patterns[] = {"*", NULL};
  int copied;
  set_base("broken");
  ASSERT_ALL(failed(esp_folder_copy(&test_comm, base, base, patterns, &copied), "cannot read the"));
  make("");
  put("/file", "x", 1);
  ASSERT_ALL(failed(esp_folder_copy(&test_comm, base, "/no/such", patterns, &copied), "/no/such"));
}

ESP_TEST_MAIN(cmocka_unit_test(esp_folder_commit_shows_the_whole_folder),
              cmocka_unit_test(esp_folder_commit_takes_the_place_of_an_empty_folder),
              cmocka_unit_test(esp_folder_commit_fails_when_the_name_was_taken_meanwhile),
              cmocka_unit_test(esp_folder_create_removes_what_an_earlier_run_left),
              cmocka_unit_test(esp_folder_create_refuses_targets_that_cannot_be),
              cmocka_unit_test(esp_folder_create_fails_everywhere_when_one_rank_does_not_see_it),
              cmocka_unit_test(esp_folder_copy_copies_what_matches_byte_for_byte),
              cmocka_unit_test(esp_folder_copy_copies_more_than_a_buffer),
              cmocka_unit_test(esp_folder_copy_fails_everywhere_when_it_cannot))
