/* What is chosen where nothing was asked for. */
#include "unit.h"

#include "espalier/train/options.h"
#include "espalier/train/policy_options.h"

#include <string.h>

/* As the table of options sets them. */
static esp_train_options unset(void) {
  return (esp_train_options){
      .epochs = -1, .batch = -1, .rate = -1.0, .clip = -1.0, .hold_out = -1, .patience = -1};
}

static esp_train_options resolve_for(esp_train_purpose purpose, const esp_dataset *data,
                                     int64_t hidden) {
  const esp_model model = {.width.units = hidden}; // 0: a perceptron's
  esp_train_options options = unset();
  esp_train_options_resolve(&options, purpose, &model, data);
  return options;
}

static esp_train_options resolve(esp_train_purpose purpose, esp_data_kind kind, int64_t width) {
  const esp_dataset data = {.kind = kind, .width = width, .count = 1000};
  return resolve_for(purpose, &data, kind == ESP_DATA_TOKENS ? 64 : 0);
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

/* A step has whole micro-batches, for ranks to share, of no more than 1024 tokens; 1024 to 32768 in
 * all where sequences are short. */
static void tokens_are_taken_in_micro_batches_that_ranks_share(void **state) {
  (void)state;
  static const int64_t widths[] = {1, 100, 128, 500, 1024, 2048};
  static const int64_t counts[] = {1, 100, 10000, 1000000};
  for (size_t i = 0; i < ESP_COUNT(widths); i++)
    for (size_t c = 0; c < ESP_COUNT(counts); c++) {
      const esp_dataset data = {.kind = ESP_DATA_TOKENS, .width = widths[i], .count = counts[c]};
      esp_train_options options = resolve_for(ESP_TRAIN_GIVEN, &data, 64);
      const int64_t micro = options.micro_batch * data.width, batch = options.batch * data.width;
      assert_true(micro <= 1024 || options.micro_batch == 1);
      assert_true(options.batch > 0 && options.batch % options.micro_batch == 0);
      const bool is_all = options.batch >= data.count; // no step can have more
      assert_true(batch <= 32768 &&
                  (batch > 512 || is_all || options.batch == options.micro_batch));
      assert_true(options.batch >= 2 * options.micro_batch || is_all || options.micro_batch == 1);
      assert_true(options.batch < data.count + options.micro_batch);
      esp_free(&options.trainable);
    }
}

/* Wider models have a lower rate, and none a higher one than the narrowest. */
static void the_rate_falls_with_the_hidden_size(void **state) {
  (void)state;
  const esp_dataset data = {.kind = ESP_DATA_TOKENS, .width = 128, .count = 1000};
  for (int p = ESP_TRAIN_NEW; p <= ESP_TRAIN_RECOVER; p++) {
    double before = 1.0;
    for (int64_t hidden = 8; hidden <= 8192; hidden *= 2) {
      esp_train_options options = resolve_for((esp_train_purpose)p, &data, hidden);
      assert_true(options.rate > 0.0 && options.rate <= before);
      before = options.rate;
      esp_free(&options.trainable);
    }
    assert_true(before < 1e-3);
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
  const esp_model model = {.width.units = 64};
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
  esp_train_options_resolve(&options, ESP_TRAIN_RECOVER, &model, &data);
  assert_memory_equal(&options, &asked, sizeof options);
}

static void other_data_to_hold_out_takes_the_place_of_a_part(void **state) {
  (void)state;
  static char path[] = "heldout.h5";
  const esp_model model = {.width.units = 64};
  const esp_dataset data = {.kind = ESP_DATA_TOKENS, .width = 128, .count = 1000};
  esp_train_options options = unset();
  options.validation = path;
  esp_train_options_resolve(&options, ESP_TRAIN_GIVEN, &model, &data);
  assert_int_equal(options.hold_out, 0);
  esp_free(&options.trainable);
}

static void refuse_between(const esp_option_group *group, void *settings) {
  const esp_option_table table = {group->rows, group->count, NULL};
  for (int i = 0; i < group->count; i++) {
    const esp_option *row = &group->rows[i];
    if (!row->or_initial) continue;
    assert_failure(esp_options_set(&table, settings, row->key, "-2"), ESP_USAGE, "or -1, found");
    if (row->kind == ESP_OPTION_REAL)
      assert_failure(esp_options_set(&table, settings, row->key, "-0.5"), ESP_USAGE, "or -1");
    if (row->low > 0.0)
      assert_failure(esp_options_set(&table, settings, row->key, "0"), ESP_USAGE, "from 1 to");
    assert_int_equal(esp_options_set(&table, settings, row->key, "-1"), ESP_OK);
  }
}

/* Nothing but -1 stands for a choice of the command's own. */
static void numbers_beside_their_range_are_refused(void **state) {
  (void)state;
  esp_train_options options;
  esp_policy_options policy;
  esp_train_options_init(&options);
  esp_policy_options_init(&policy);
  refuse_between(&esp_train_option_group, &options);
  refuse_between(&esp_policy_option_group, &policy);
  esp_train_options_clear(&options);
  esp_policy_options_clear(&policy);
}

ESP_TEST_MAIN(cmocka_unit_test(a_new_perceptron_is_trained_as_before),
              cmocka_unit_test(tokens_are_taken_in_micro_batches_that_ranks_share),
              cmocka_unit_test(the_rate_falls_with_the_hidden_size),
              cmocka_unit_test(a_step_has_a_micro_batch_at_least),
              cmocka_unit_test(every_purpose_has_its_own_choice),
              cmocka_unit_test(what_was_asked_for_stays),
              cmocka_unit_test(other_data_to_hold_out_takes_the_place_of_a_part),
              cmocka_unit_test(numbers_beside_their_range_are_refused))
