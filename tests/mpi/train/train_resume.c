#include "mpi.h"

#include "training.h"

#include <unistd.h>

static char output[128], path[160];

static bool exists(void) {
  return access(path, F_OK) == 0;
}

static void set_output(const char *name) {
  snprintf(output, sizeof output, "%s", test_path(name));
  snprintf(path, sizeof path, "%s.checkpoint.h5", output);
}

/* A run of the command's kind: the journal says whether the checkpoint is its own. */
static result run_at(const esp_comm *comm, const esp_train_options *options, bool restart) {
  json_t *description = json_pack("{s:s}", "optimizer", options->optimizer);
  esp_journal *journal = NULL;
  result got = {.status = esp_journal_open(comm, output, description, restart, &journal)};
  json_decref(description);
  if (got.status == ESP_OK)
    got = train_at(comm, options, (place){.checkpoint = path, .journal = journal});
  esp_journal_close(&journal, got.status);
  return got;
}

static result run(const esp_train_options *options) {
  return run_at(&test_comm, options, false);
}

/* Stop after k steps, go on, and compare with a training that never stopped. */
static void check_resume(const char *optimizer, int64_t k) {
  const esp_train_options undisturbed = new_options(optimizer);
  esp_train_options options = undisturbed;
  set_output("resume.h5");
  options.stop_after = k;
  ASSERT_ALL(failed(run(&options).status, ESP_INTERRUPTED, "the same command goes on"));
  ASSERT_ALL(exists());
  options.stop_after = 0;
  const result resumed = run(&options), whole = train(&test_comm, &undisturbed);
  ASSERT_ALL(resumed.status == ESP_OK && is_same(&resumed, &whole));
  ASSERT_ALL(exists()); // until the caller has the model safe
  esp_train_remove_checkpoint(&test_comm, path);
  esp_barrier(&test_comm);
  ASSERT_ALL(!exists());
}

static void esp_train_resumed_gives_the_bits_of_an_undisturbed_run(void **state) {
  (void)state;
  check_resume("adamw", 1);
  check_resume("adamw", 4); // the end of an epoch
  check_resume("adamw", 11);
  check_resume("sgd", 2);
}

static void esp_train_resumed_keeps_curve_and_best_weights(void **state) {
  (void)state;
  esp_train_options options = new_options("adamw");
  options.hold_out = 4;
  options.evaluate_every = 2;
  const result whole = train(&test_comm, &options);
  set_output("held.h5");
  options.stop_after = 7;
  ASSERT_ALL(run(&options).status == ESP_INTERRUPTED);
  options.stop_after = 0;
  const result resumed = run(&options);
  ASSERT_ALL(resumed.status == ESP_OK && is_same(&resumed, &whole));
}

static void esp_train_resumes_a_checkpoint_of_another_rank_count(void **state) {
  (void)state;
  const esp_train_options undisturbed = new_options("adamw");
  esp_train_options options = undisturbed;
  set_output("ranks.h5");
  options.stop_after = 5;
  if (test_comm.rank == 0) {
    esp_comm self;
    esp_comm_init_local(&self);
    assert_true(run_at(&self, &options, false).status == ESP_INTERRUPTED);
    esp_comm_clear(&self);
  }
  options.stop_after = 0;
  const result resumed = run(&options), whole = train(&test_comm, &undisturbed);
  ASSERT_ALL(resumed.status == ESP_OK && is_same(&resumed, &whole));
}

static void esp_train_restarted_begins_anew(void **state) {
  (void)state;
  esp_train_options options = new_options("sgd");
  set_output("anew.h5");
  options.stop_after = 8;
  ASSERT_ALL(run(&options).status == ESP_INTERRUPTED);
  options.stop_after = 4;
  ASSERT_ALL(run_at(&test_comm, &options, true).status == ESP_INTERRUPTED);
}

static void esp_train_does_not_take_a_checkpoint_without_its_journal(void **state) {
  (void)state;
  esp_train_options options = new_options("sgd");
  set_output("lonely.h5");
  options.stop_after = 3;
  ASSERT_ALL(run(&options).status == ESP_INTERRUPTED);
  char *journal = esp_format("%s.journal", output);
  ASSERT_ALL(test_comm.rank > 0 || unlink(journal) == 0);
  esp_free(&journal);
  options.stop_after = 2; // before the step of the checkpoint
  ASSERT_ALL(run(&options).status == ESP_INTERRUPTED);
}

static void esp_train_refuses_a_damaged_checkpoint(void **state) {
  (void)state;
  esp_train_options options = new_options("adamw");
  set_output("damaged.h5");
  options.stop_after = 1;
  ASSERT_ALL(run(&options).status == ESP_INTERRUPTED);
  ASSERT_ALL(test_comm.rank > 0 || truncate(path, 1000) == 0);
  ASSERT_ALL(failed(run(&options).status, ESP_FORMAT, "damaged.h5"));
}

/* The optimiser's state is the last of the file. */
static void change_a_value(void) {
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, -64, SEEK_END), 0);
  const int byte = fgetc(file);
  assert_int_equal(fseek(file, -64, SEEK_END), 0);
  assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
  assert_int_equal(fclose(file), 0);
}

static void esp_train_refuses_a_checkpoint_with_another_value(void **state) {
  (void)state;
  esp_train_options options = new_options("adamw");
  set_output("changed.h5");
  options.stop_after = 3;
  ASSERT_ALL(run(&options).status == ESP_INTERRUPTED);
  if (test_comm.rank == 0) change_a_value();
  esp_barrier(&test_comm);
  ASSERT_ALL(failed(run(&options).status, ESP_FORMAT, "give --restart"));
}

static void esp_train_says_that_a_checkpoint_cannot_be_written(void **state) {
  (void)state;
  esp_train_options options = new_options("sgd");
  options.stop_after = 1;
  const place nowhere = {.checkpoint = "/no/such/folder/checkpoint.h5"};
  ASSERT_ALL(failed(train_at(&test_comm, &options, nowhere).status, ESP_IO, "/no/such/folder"));
}

ESP_TEST_MAIN(cmocka_unit_test(esp_train_resumed_gives_the_bits_of_an_undisturbed_run),
              cmocka_unit_test(esp_train_resumed_keeps_curve_and_best_weights),
              cmocka_unit_test(esp_train_resumes_a_checkpoint_of_another_rank_count),
              cmocka_unit_test(esp_train_restarted_begins_anew),
              cmocka_unit_test(esp_train_does_not_take_a_checkpoint_without_its_journal),
              cmocka_unit_test(esp_train_refuses_a_damaged_checkpoint),
              cmocka_unit_test(esp_train_refuses_a_checkpoint_with_another_value),
              cmocka_unit_test(esp_train_says_that_a_checkpoint_cannot_be_written))
