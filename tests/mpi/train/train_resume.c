#include "mpi.h"

#include "training.h"

#include <hdf5.h>
#include <unistd.h>

static char path[128];

static bool exists(void) {
  return access(path, F_OK) == 0;
}

static esp_train_options with_checkpoint(const char *optimizer, const char *name) {
  esp_train_options options = new_options(optimizer);
  snprintf(path, sizeof path, "%s", test_path(name));
  options.checkpoint = path;
  options.resume = true;
  return options;
}

/* Stop after k epochs, go on, and compare with a training that never stopped. */
static void check_resume(const char *optimizer, int64_t k) {
  esp_train_options options = with_checkpoint(optimizer, "resume.h5");
  const esp_train_options undisturbed = new_options(optimizer);
  options.stop_after = k;
  ASSERT_ALL(failed(train(&test_comm, &options).status, ESP_INTERRUPTED, "stopped after epoch"));
  ASSERT_ALL(exists());
  options.stop_after = 0;
  const result resumed = train(&test_comm, &options), whole = train(&test_comm, &undisturbed);
  ASSERT_ALL(resumed.status == ESP_OK && is_same(&resumed, &whole));
  ASSERT_ALL(exists()); // until the caller has the model safe
  esp_train_remove_checkpoint(&test_comm, &options);
  esp_barrier(&test_comm);
  ASSERT_ALL(!exists());
}

static void esp_train_resumed_gives_the_bits_of_an_undisturbed_run(void **state) {
  (void)state;
  check_resume("adamw", 1);
  check_resume("adamw", 3);
  check_resume("sgd", 2);
}

static void esp_train_resumes_a_checkpoint_of_another_rank_count(void **state) {
  (void)state;
  esp_train_options options = with_checkpoint("adamw", "ranks.h5");
  const esp_train_options undisturbed = new_options("adamw");
  options.stop_after = 2;
  ASSERT_ALL(test_comm.rank > 0 || train_alone(&options).status == ESP_INTERRUPTED);
  options.stop_after = 0;
  const result resumed = train(&test_comm, &options), whole = train(&test_comm, &undisturbed);
  ASSERT_ALL(resumed.status == ESP_OK && is_same(&resumed, &whole));
}

static void esp_train_without_resume_begins_anew(void **state) {
  (void)state;
  esp_train_options options = with_checkpoint("sgd", "anew.h5");
  options.stop_after = 2;
  ASSERT_ALL(train(&test_comm, &options).status == ESP_INTERRUPTED);
  options.stop_after = 1;
  options.resume = false;
  ASSERT_ALL(train(&test_comm, &options).status == ESP_INTERRUPTED);
}

static void esp_train_resume_without_a_checkpoint_begins_anew(void **state) {
  (void)state;
  const esp_train_options options = with_checkpoint("sgd", "none.h5"), plain = new_options("sgd");
  const result got = train(&test_comm, &options), expected = train(&test_comm, &plain);
  ASSERT_ALL(got.status == ESP_OK && is_same(&got, &expected));
}

static void check_mismatch(const esp_train_options *other) {
  ASSERT_ALL(failed(train(&test_comm, other).status, ESP_MISMATCH, "checkpoint of another"));
  ASSERT_ALL(exists()); // it is still there for the training it belongs to
}

static void esp_train_refuses_a_checkpoint_of_other_options(void **state) {
  (void)state;
  esp_train_options options = with_checkpoint("adamw", "other.h5");
  options.stop_after = 1;
  ASSERT_ALL(train(&test_comm, &options).status == ESP_INTERRUPTED);
  esp_train_options other = options;
  other.rate *= 2.0;
  check_mismatch(&other);
  other = options;
  other.optimizer = "sgd";
  check_mismatch(&other);
  other = options;
  other.seed++;
  check_mismatch(&other);
}

static void esp_train_refuses_a_checkpoint_where_one_rank_has_other_options(void **state) {
  (void)state;
  esp_train_options options = with_checkpoint("adamw", "one.h5");
  options.stop_after = 1;
  ASSERT_ALL(train(&test_comm, &options).status == ESP_INTERRUPTED);
  for (int bad = 0; bad < test_comm.size; bad++) {
    esp_train_options other = options;
    if (test_comm.rank == bad) other.seed++;
    check_mismatch(&other);
  }
}

static void esp_train_refuses_a_damaged_checkpoint(void **state) {
  (void)state;
  esp_train_options options = with_checkpoint("adamw", "damaged.h5");
  options.stop_after = 1;
  ASSERT_ALL(train(&test_comm, &options).status == ESP_INTERRUPTED);
  ASSERT_ALL(test_comm.rank > 0 || truncate(path, 1000) == 0);
  ASSERT_ALL(failed(train(&test_comm, &options).status, ESP_FORMAT, "damaged.h5"));
}

static void set_epoch(int64_t epoch) {
  if (test_comm.rank == 0) {
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t set = H5Dopen2(file, "/epoch", H5P_DEFAULT);
    if (H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &epoch) < 0)
      MPI_Abort(MPI_COMM_WORLD, 3);
    H5Dclose(set);
    H5Fclose(file);
  }
  esp_barrier(&test_comm);
}

/* The epoch is multiplied by the steps of one before anything else is done with it. */
static void esp_train_refuses_a_checkpoint_after_epochs_that_there_are_not(void **state) {
  (void)state;
  static const int64_t bad[] = {-1, 5, INT64_MAX / 2};
  esp_train_options options = with_checkpoint("sgd", "epoch.h5");
  options.stop_after = 1;
  ASSERT_ALL(train(&test_comm, &options).status == ESP_INTERRUPTED);
  for (unsigned i = 0; i < ESP_COUNT(bad); i++) {
    set_epoch(bad[i]);
    ASSERT_ALL(failed(train(&test_comm, &options).status, ESP_FORMAT, "after 0 to 4 epochs"));
  }
}

static void esp_train_says_that_a_checkpoint_cannot_be_written(void **state) {
  (void)state;
  esp_train_options options = new_options("sgd");
  options.checkpoint = "/no/such/folder/checkpoint.h5";
  ASSERT_ALL(failed(train(&test_comm, &options).status, ESP_IO, "/no/such/folder"));
}

ESP_TEST_MAIN(cmocka_unit_test(esp_train_resumed_gives_the_bits_of_an_undisturbed_run),
              cmocka_unit_test(esp_train_resumes_a_checkpoint_of_another_rank_count),
              cmocka_unit_test(esp_train_without_resume_begins_anew),
              cmocka_unit_test(esp_train_resume_without_a_checkpoint_begins_anew),
              cmocka_unit_test(esp_train_refuses_a_checkpoint_of_other_options),
              cmocka_unit_test(esp_train_refuses_a_checkpoint_where_one_rank_has_other_options),
              cmocka_unit_test(esp_train_refuses_a_damaged_checkpoint),
              cmocka_unit_test(esp_train_refuses_a_checkpoint_after_epochs_that_there_are_not),
              cmocka_unit_test(esp_train_says_that_a_checkpoint_cannot_be_written))
