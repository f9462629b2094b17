/* What is chosen where nothing was asked for. */
#include "unit.h"

#include "espalier/train/options.h"

#include <string.h>

/* As the table of options sets them. */
static esp_train_options unset(void) {
  return (esp_train_options){
      .epochs = -1, .batch = -1, .rate = -1.0, .clip = -1.0, .hold_out = -1, .patience = -1};
}

static esp_train_options resolve(esp_train_purpose purpose, esp_data_kind kind, int64_t width) {
  esp_train_options options = unset();
  const esp_dataset data = {.kind = kind, .width = width, .count = 1000};
  esp_train_options_resolve(&options, purpose, &data);
  return options;
}

/* As perceptrons have always been trained. */
static void a_new_perceptron_is_trained_as_before(void **state) {
  (void)state;
  esp_train_options options = resolve(ESP_TRAIN_NEW, ESP_DATA_IMAGES, 784);
  assert_true(options.epochs == 12 && options.batch == 256 && options.micro_batch == 64);
  assert_true(options.rate == 2e-3 && options.clip == 0.0);
  assert_true(options.hold_out == 0 && options.patience == 0);
  assert_string_equal(options.trainable, "all");
  esp_free(&options.trainable);
}

static void tokens_are_taken_in_micro_batches_of_about_a_thousand(void **state) {
  (void)state;
  static const int64_t widths[] = {1, 100, 128, 512, 1024, 2048}, micro[] = {1024, 10, 8, 2, 1, 1};
  for (size_t i = 0; i < ESP_COUNT(widths); i++) {
    esp_train_options options = resolve(ESP_TRAIN_GIVEN, ESP_DATA_TOKENS, widths[i]);
    assert_int_equal(options.micro_batch, micro[i]);
    assert_int_equal(options.batch % options.micro_batch, 0);
    assert_true(options.batch * widths[i] <= 4096 && options.batch * widths[i] > 2048);
    esp_free(&options.trainable);
  }
}

static void a_step_has_a_micro_batch_at_least(void **state) {
  (void)state;
  esp_train_options options = resolve(ESP_TRAIN_RECOVER, ESP_DATA_TOKENS, 32768);
  assert_true(options.micro_batch == 1 && options.batch == 1);
  esp_free(&options.trainable);
}

/* Whatever is trained has a rate, holds out where it was given weights, and stops in time. */
static void every_purpose_has_its_own_choice(void **state) {
  (void)state;
  static const esp_train_purpose purposes[] = {ESP_TRAIN_NEW, ESP_TRAIN_GIVEN, ESP_TRAIN_RECOVER};
  for (size_t p = 0; p < ESP_COUNT(purposes); p++)
    for (int kind = ESP_DATA_IMAGES; kind <= ESP_DATA_TOKENS; kind++) {
      esp_train_options options = resolve(purposes[p], (esp_data_kind)kind, 128);
      const bool is_given = purposes[p] != ESP_TRAIN_NEW;
      assert_true(options.rate > 0.0 && options.epochs > 0 && options.clip >= 0.0);
      assert_true((options.patience > 0) == is_given);
      if (is_given) assert_true(options.hold_out > 1);
      assert_non_null(options.trainable);
      esp_free(&options.trainable);
    }
}

static void what_was_asked_for_stays(void **state) {
  (void)state;
  static char set[] = "norms";
  const esp_dataset data = {.kind = ESP_DATA_TOKENS, .width = 128, .count = 1000};
  const esp_train_options asked = {.epochs = 7,
                                   .batch = 5,
                                   .micro_batch = 3,
                                   .rate = 0.0,
                                   .clip = 0.0,
                                   .hold_out = 0,
                                   .patience = 0,
                                   .trainable = set};
  esp_train_options options = asked;
  esp_train_options_resolve(&options, ESP_TRAIN_RECOVER, &data);
  assert_memory_equal(&options, &asked, sizeof options);
}

static void other_data_to_hold_out_takes_the_place_of_a_part(void **state) {
  (void)state;
  static char path[] = "heldout.h5";
  esp_train_options options = unset();
  options.validation = path;
  const esp_dataset data = {.kind = ESP_DATA_TOKENS, .width = 128, .count = 1000};
  esp_train_options_resolve(&options, ESP_TRAIN_GIVEN, &data);
  assert_int_equal(options.hold_out, 0);
  esp_free(&options.trainable);
}

ESP_TEST_MAIN(cmocka_unit_test(a_new_perceptron_is_trained_as_before),
              cmocka_unit_test(tokens_are_taken_in_micro_batches_of_about_a_thousand),
              cmocka_unit_test(a_step_has_a_micro_batch_at_least),
              cmocka_unit_test(every_purpose_has_its_own_choice),
              cmocka_unit_test(what_was_asked_for_stays),
              cmocka_unit_test(other_data_to_hold_out_takes_the_place_of_a_part))
