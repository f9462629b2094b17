#include "espalier/io/outputs.h"
#include "scratch_folder.h"

#include "espalier/core/memory.h"
#include "espalier/io/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "FOLDER/name" in one of two static buffers. */
static const char *at(int which, const char *name) {
  static char paths[2][192];
  snprintf(paths[which], sizeof paths[which], "%s/%s", folder, name);
  return paths[which];
}

static void make_model(const char *name) {
  make_folder(name);
  test_write_file(at(0, "model.safetensors"), "weights", 7);
  test_write_file(at(0, "result.json"), "old", 3);
}

static void link_to(const char *target, const char *name) {
  if (test_comm.rank == 0) assert_int_equal(symlink(target, at(0, name)), 0);
  esp_barrier(&test_comm);
}

static const char *const beside[] = {".partial", ".stats.h5", NULL};

static esp_status check_one(const char *output, const char *input) {
  const esp_output outputs[] = {{"-o", output, beside}, {"--json", NULL, NULL}};
  const esp_input inputs[] = {{"--data", input}, {"--stats", NULL}};
  const esp_files files = {outputs, inputs, 2, 2};
  return esp_outputs_check(&test_comm, &files);
}

static bool refused(esp_status status, const char *part) {
  return status == ESP_IO && strstr(esp_failure_text(), part);
}

static void esp_outputs_check_refuses_an_input_under_another_name(void **state) {
  (void)state;
  make_model("outputs_names");
  if (test_comm.rank == 0) assert_int_equal(link(at(0, "model.safetensors"), at(1, "hard")), 0);
  esp_barrier(&test_comm);
  link_to("model.safetensors", "soft");
  const char *const names[] = {"model.safetensors", "./model.safetensors", "hard", "soft"};
  for (unsigned i = 0; i < ESP_COUNT(names); i++)
    ASSERT_ALL(refused(check_one(at(0, names[i]), at(1, "model.safetensors")), "which is read"));
  ASSERT_ALL(check_one(at(0, "new"), at(1, "model.safetensors")) == ESP_OK);
}

static void esp_outputs_check_refuses_what_belongs_to_an_input_folder(void **state) {
  (void)state;
  make_model("outputs_folder");
  ASSERT_ALL(refused(check_one(at(0, "model.safetensors"), folder), "which is read"));
  ASSERT_ALL(check_one(at(0, "result.json"), folder) == ESP_OK);
  ASSERT_ALL(check_one(at(0, "new.h5"), folder) == ESP_OK);
}

static void esp_outputs_check_refuses_inputs_that_are_made_beside_an_output(void **state) {
  (void)state;
  make_model("outputs_beside");
  test_write_file(at(0, "x.stats.h5"), "s", 1);
  ASSERT_ALL(refused(check_one(at(0, "x"), at(1, "x.stats.h5")), "made beside -o"));
}

static void esp_outputs_check_refuses_inputs_inside_a_folder_that_is_emptied(void **state) {
  (void)state;
  make_model("outputs_inside.partial");
  char whole[128];
  snprintf(whole, sizeof whole, "%.*s", (int)(strlen(folder) - strlen(".partial")), folder);
  ASSERT_ALL(refused(check_one(whole, at(1, "model.safetensors")), "it holds"));
}

static void esp_outputs_check_refuses_two_outputs_in_one_file(void **state) {
  (void)state;
  make_folder("outputs_two");
  const esp_output outputs[] = {{"-o", at(0, "a"), beside},
                                {"--json", at(1, "./a.stats.h5"), NULL}};
  const esp_files files = {outputs, NULL, 2, 0};
  ASSERT_ALL(refused(esp_outputs_check(&test_comm, &files), "different names"));
}

static void esp_outputs_check_ignores_stdout(void **state) {
  (void)state;
  const esp_output outputs[] = {{"--json", "-", NULL}, {"-o", "-", NULL}};
  const esp_files files = {outputs, NULL, 2, 0};
  ASSERT_ALL(esp_outputs_check(&test_comm, &files) == ESP_OK);
}

static bool is_followed(const char *name, const char *expected) {
  char *path = esp_strdup(at(0, name));
  esp_output_follow_links(&test_comm, &path);
  const bool same = strcmp(path, at(1, expected)) == 0;
  esp_free(&path);
  return same;
}

static void esp_output_follow_links_gives_the_last_target(void **state) {
  (void)state;
  make_folder("outputs_links");
  link_to("second", "first");
  link_to("not_there", "second");
  link_to("circle", "circle");
  ASSERT_ALL(is_followed("first", "not_there"));
  ASSERT_ALL(is_followed("plain", "plain"));
  ASSERT_ALL(is_followed("circle", "circle"));
}

static void esp_file_write_text_writes_through_a_link(void **state) {
  (void)state;
  struct stat about;
  make_folder("outputs_text");
  link_to("target", "link");
  ASSERT_ALL(esp_file_write_text(&test_comm, at(0, "link"), "text") == ESP_OK);
  ASSERT_ALL(lstat(at(0, "link"), &about) == 0 && S_ISLNK(about.st_mode));
  ASSERT_ALL(lstat(at(0, "target"), &about) == 0 && S_ISREG(about.st_mode) && about.st_size == 4);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_outputs_check_refuses_an_input_under_another_name),
              cmocka_unit_test(esp_outputs_check_refuses_what_belongs_to_an_input_folder),
              cmocka_unit_test(esp_outputs_check_refuses_inputs_that_are_made_beside_an_output),
              cmocka_unit_test(esp_outputs_check_refuses_inputs_inside_a_folder_that_is_emptied),
              cmocka_unit_test(esp_outputs_check_refuses_two_outputs_in_one_file),
              cmocka_unit_test(esp_outputs_check_ignores_stdout),
              cmocka_unit_test(esp_output_follow_links_gives_the_last_target),
              cmocka_unit_test(esp_file_write_text_writes_through_a_link))
