/* Objectives against numbers worked out by hand: logits are logarithms of small integers. */
#include "unit.h"

#include "espalier/flow/objective.h"
#include "espalier/model/family.h"

#include <math.h>
#include <string.h>

static esp_workspace scratch;

/* A micro-batch of two outputs a row, and what an objective makes of it. */
typedef struct example {
  esp_model model;
  esp_batch batch;
  float logits[12], dlogits[12];
  const float *teacher;
  const int32_t *labels;
  esp_tally tally;
} example;

static void measure(example *self) {
  const esp_objective *objective = esp_objective_of(self->model.task);
  memset(self->dlogits, 0x55, sizeof self->dlogits); // is overwritten
  objective->measure(&(esp_outputs){.model = &self->model,
                                    .batch = &self->batch,
                                    .logits = self->logits,
                                    .teacher = self->teacher,
                                    .labels = self->labels,
                                    .dlogits = self->dlogits,
                                    .workspace = &scratch},
                     &self->tally);
  esp_workspace_clear(&scratch);
}

static void check_tally(const esp_tally *tally, int64_t targets, int64_t correct, double loss) {
  assert_int_equal(tally->targets, targets);
  assert_int_equal(tally->correct, correct);
  assert_true(fabs((double)tally->loss * 0x1p-20 - loss) < 1e-5);
  assert_false(tally->is_undefined || tally->is_capped);
}

static void check_dlogits(const example *self, const float *expected, int n) {
  for (int i = 0; i < n; i++) assert_float_equal(self->dlogits[i], expected[i], 1e-6f);
}

/* -ln 1/2, the tie going to the lower class, and -ln 1/4. */
static void classifier_sums_the_cross_entropy_of_samples(void **state) {
  (void)state;
  static const int32_t labels[2] = {0, 1};
  example self = {.model = {.task = ESP_TASK_CLASSIFY, .n_outputs = 2},
                  .batch = {.kind = ESP_DATA_IMAGES, .count = 2, .labels = labels},
                  .logits = {0.0f, 0.0f, logf(3.0f), 0.0f}};
  measure(&self);
  check_tally(&self.tally, 2, 1, log(2.0) + log(4.0));
  check_dlogits(&self, (const float[4]){-0.5f, 0.5f, 0.75f, -0.75f}, 4);
}

/* Three tokens: 0 follows the first, 1 the second, nothing the third. */
static example new_sequences(esp_task task, int64_t count, const int32_t *lengths) {
  static const int32_t tokens[6] = {1, 0, 1, 1, 0, 1};
  example self = {.model = {.task = task, .n_outputs = 2},
                  .batch = {.kind = ESP_DATA_TOKENS,
                            .count = count,
                            .width = 3,
                            .tokens = tokens,
                            .lengths = lengths}};
  for (int row = 0; row < 6; row++) self.logits[2 * row + 1] = logf((float)(row % 3) + 1.0f);
  return self;
}

/* Of 0 under 1 : 1, and of 1 under 1 : 2. */
static void language_predicts_the_next_tokens(void **state) {
  (void)state;
  example self = new_sequences(ESP_TASK_LANGUAGE, 2, NULL);
  measure(&self);
  check_tally(&self.tally, 4, 4, 2.0 * (log(2.0) + log(3.0 / 2.0)));
  const float one[6] = {-0.5f, 0.5f, 1.0f / 3.0f, -1.0f / 3.0f, 0.0f, 0.0f};
  check_dlogits(&self, one, 6);
}

static void language_leaves_padding_out(void **state) {
  (void)state;
  static const int32_t lengths[2] = {2, 1};
  example self = new_sequences(ESP_TASK_LANGUAGE, 2, lengths);
  measure(&self);
  check_tally(&self.tally, 1, 1, log(2.0));
  check_dlogits(&self, (const float[12]){-0.5f, 0.5f}, 12);
}

/* Of 1 under 1 : 1, 0 under 1 : 2 and 1 under 1 : 3; the second sequence ends before the last. */
static void masked_predicts_the_tokens_themselves(void **state) {
  (void)state;
  static const int32_t lengths[2] = {3, 2};
  example self = new_sequences(ESP_TASK_MASKED, 2, lengths);
  measure(&self);
  check_tally(&self.tally, 5, 1, 2.0 * (log(2.0) + log(3.0)) + log(4.0 / 3.0));
  check_dlogits(&self,
                (const float[12]){0.5f, -0.5f, -2.0f / 3.0f, 2.0f / 3.0f, 0.25f, -0.25f, 0.5f,
                                  -0.5f, -2.0f / 3.0f, 2.0f / 3.0f},
                12);
}

/* Every row that is not padding then has one, also the last of a sequence. */
static void given_labels_take_the_place_of_the_datas(void **state) {
  (void)state;
  static const int32_t labels[3] = {1, 1, 0}, lengths[1] = {3};
  static const esp_task tasks[2] = {ESP_TASK_LANGUAGE, ESP_TASK_MASKED};
  for (int i = 0; i < 2; i++) {
    example self = new_sequences(tasks[i], 1, lengths);
    self.labels = labels;
    measure(&self);
    check_tally(&self.tally, 3, 1, log(2.0) + log(3.0 / 2.0) + log(4.0));
  }
}

static void dlogits_may_be_the_logits(void **state) {
  (void)state;
  example apart = new_sequences(ESP_TASK_LANGUAGE, 2, NULL), in_place = apart;
  measure(&apart);
  esp_objective_of(ESP_TASK_LANGUAGE)
      ->measure(&(esp_outputs){.model = &in_place.model,
                               .batch = &in_place.batch,
                               .logits = in_place.logits,
                               .dlogits = in_place.logits,
                               .workspace = &scratch},
                NULL);
  assert_memory_equal(in_place.logits, apart.dlogits, sizeof apart.dlogits);
}

/* Means (1, 0) and (1, 1): the cosine is 1 / sqrt 2. */
static void cosine_compares_means_of_the_states(void **state) {
  (void)state;
  static const float teacher[6] = {2.0f, 1.0f, 0.0f, -1.0f, 9.0f, 9.0f};
  static const int32_t lengths[1] = {2};
  example self = new_sequences(ESP_TASK_EMBED, 1, lengths);
  memcpy(self.logits, (const float[6]){0.0f, 3.0f, 2.0f, -1.0f, 7.0f, 7.0f}, 6 * sizeof(float));
  self.teacher = teacher;
  measure(&self);
  assert_true(fabs((double)self.tally.cosine * 0x1p-40 - sqrt(0.5)) < 1e-12);
  check_tally(&self.tally, 1, 0, 1.0 - sqrt(0.5));
}

/* Errors 1 and -2 of one sample, 0.5 and 0 of the other. */
static example new_numbers(esp_task task, const float *targets) {
  return (example){.model = {.task = task, .n_outputs = 2},
                   .batch = {.kind = ESP_DATA_TOKENS,
                             .count = 2,
                             .width = 3,
                             .targets = targets,
                             .n_targets = 2},
                   .logits = {1.0f, -1.0f, 0.5f, 2.0f}};
}

static void regression_sums_squared_errors(void **state) {
  (void)state;
  static const float targets[4] = {0.0f, 1.0f, 0.0f, 2.0f};
  example self = new_numbers(ESP_TASK_REGRESS, targets);
  measure(&self);
  check_tally(&self.tally, 4, 0, 1.0 + 4.0 + 0.25);
  check_dlogits(&self, (const float[4]){2.0f, -4.0f, 1.0f, 0.0f}, 4);
}

/* 5.25 of four targets are 1.3125 a target. */
static void regression_sums_in_the_tallys_unit(void **state) {
  (void)state;
  static const float targets[4] = {0.0f, 1.0f, 0.0f, 2.0f};
  example self = new_numbers(ESP_TASK_REGRESS, targets);
  self.tally.unit = 4.0;
  measure(&self);
  check_tally(&self.tally, 4, 0, 5.25 / 4.0);
  assert_true(fabs(esp_tally_compute_loss(&self.tally) - 5.25 / 4.0) < 1e-5);
}

static void regression_takes_a_class_for_a_number(void **state) {
  (void)state;
  static const int32_t labels[2] = {3, 0};
  example self = new_numbers(ESP_TASK_REGRESS, NULL);
  self.model.n_outputs = 1; // 1 and -1
  self.batch.labels = labels;
  measure(&self);
  check_tally(&self.tally, 2, 0, 4.0 + 1.0);
}

/* Logarithms of 3 and 1/3 say 3/4 and 1/4; 0 says 1/2, which is no prediction. */
static void multi_label_sums_the_cross_entropy_of_labels(void **state) {
  (void)state;
  static const float targets[4] = {1.0f, 0.0f, 1.0f, 0.0f};
  example self = new_numbers(ESP_TASK_MULTI_LABEL, targets);
  memcpy(self.logits, (const float[4]){logf(3.0f), -logf(3.0f), 0.0f, logf(3.0f)},
         4 * sizeof(float));
  measure(&self);
  check_tally(&self.tally, 4, 2, 2.0 * log(4.0 / 3.0) + log(2.0) + log(4.0));
  assert_int_equal(self.tally.hits, 1);
  check_dlogits(&self, (const float[4]){-0.25f, 0.25f, -0.5f, 0.75f}, 4);
}

/* Logits as large as they come cost what they are, without overflow. */
static void multi_label_takes_large_logits(void **state) {
  (void)state;
  static const float targets[4] = {0.0f, 1.0f, 1.0f, 0.0f};
  example self = new_numbers(ESP_TASK_MULTI_LABEL, targets);
  memcpy(self.logits, (const float[4]){900.0f, -900.0f, 900.0f, -900.0f}, 4 * sizeof(float));
  measure(&self);
  check_tally(&self.tally, 4, 2, 1800.0);
  check_dlogits(&self, (const float[4]){1.0f, -1.0f, 0.0f, 0.0f}, 4);
}

/* The slope between two losses of the objective, in the first logits. */
static double find_slope(example *self, int i, float h) {
  double loss[2];
  for (int side = 0; side < 2; side++) {
    const float before = self->logits[i];
    self->logits[i] += side ? h : -h;
    self->tally = (esp_tally){0};
    measure(self);
    loss[side] = (double)self->tally.loss * 0x1p-20;
    self->logits[i] = before;
  }
  return (loss[1] - loss[0]) / (2.0 * (double)h);
}

static void numbers_have_the_slopes_of_differences(void **state) {
  (void)state;
  static const float targets[4] = {0.25f, 1.0f, 0.0f, 0.5f};
  static const esp_task tasks[2] = {ESP_TASK_REGRESS, ESP_TASK_MULTI_LABEL};
  for (int t = 0; t < 2; t++) {
    example self = new_numbers(tasks[t], targets);
    measure(&self);
    float slopes[4];
    memcpy(slopes, self.dlogits, sizeof slopes);
    for (int i = 0; i < 4; i++)
      assert_true(fabs(find_slope(&self, i, 0.01f) - (double)slopes[i]) < 1e-3);
  }
}

/* A normal density has the Fisher information 1, a label of probability p has p (1 - p). */
static void drawn_targets_have_the_fisher_information(void **state) {
  (void)state;
  enum { DRAWS = 20000 };
  static const esp_task tasks[2] = {ESP_TASK_REGRESS, ESP_TASK_MULTI_LABEL};
  static const double expected[2] = {1.0, 3.0 / 16.0};
  for (int t = 0; t < 2; t++) {
    example self = new_numbers(tasks[t], NULL);
    const esp_outputs outputs = {
        .model = &self.model, .batch = &self.batch, .logits = self.logits, .dlogits = self.dlogits};
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < DRAWS; i++) {
      self.logits[0] = logf(3.0f);
      esp_objective_of(tasks[t])->differentiate_drawn(&outputs, &(esp_draw){1, 2, 2 * i});
      sum += (double)self.dlogits[0] / DRAWS;
      squares += (double)self.dlogits[0] * (double)self.dlogits[0] / DRAWS;
    }
    assert_true(fabs(sum) < 0.03 && fabs(squares - expected[t]) < 0.03);
  }
}

static double measure_loss(example *self, int i, float h) {
  self->logits[i] += h;
  self->tally = (esp_tally){0};
  measure(self);
  self->logits[i] -= h;
  return 1.0 - (double)self->tally.cosine * 0x1p-40;
}

static void cosine_gradient_matches_central_differences(void **state) {
  (void)state;
  static const int32_t lengths[2] = {2, 3};
  float teacher[12];
  example self = new_sequences(ESP_TASK_EMBED, 2, lengths);
  for (int i = 0; i < 12; i++) {
    teacher[i] = (float)esp_rng_normal(1, 0, (uint64_t)i);
    self.logits[i] = (float)esp_rng_normal(1, 1, (uint64_t)i);
  }
  self.teacher = teacher;
  measure(&self);
  const example at = self;
  for (int i = 0; i < 12; i++) {
    const double above = measure_loss(&self, i, 1e-2f), below = measure_loss(&self, i, -1e-2f);
    assert_true(fabs((above - below) / 2e-2 - (double)at.dlogits[i]) < 1e-3);
  }
  assert_float_equal(at.dlogits[4], 0.0f, 0.0f); // padding
}

static void cosine_with_a_state_of_zero_is_zero(void **state) {
  (void)state;
  static const float teacher[6] = {0};
  example self = new_sequences(ESP_TASK_EMBED, 1, NULL);
  self.teacher = teacher;
  measure(&self);
  assert_int_equal(self.tally.cosine, 0);
  check_dlogits(&self, (const float[6]){0.0f}, 6);
}

static void a_tally_tells_of_losses_that_are_no_numbers(void **state) {
  (void)state;
  example self = new_sequences(ESP_TASK_LANGUAGE, 1, NULL);
  self.logits[0] = NAN;
  measure(&self);
  assert_true(self.tally.is_undefined && !self.tally.is_capped);
  assert_int_equal(self.tally.loss, 0);
}

/* Two targets in a part: 2e6 nats at most. */
static void a_tally_caps_the_loss_of_a_part(void **state) {
  (void)state;
  example self = new_sequences(ESP_TASK_LANGUAGE, 1, NULL);
  self.logits[1] = 3e7f;
  measure(&self);
  assert_true(self.tally.is_capped && !self.tally.is_undefined);
  assert_true(fabs((double)self.tally.loss * 0x1p-20 - 2e6) < 1e-3);
  assert_true(fabs(esp_tally_compute_loss(&self.tally) - 1e6) < 1e-3);
}

static void a_tally_without_targets_has_no_loss(void **state) {
  (void)state;
  assert_true(esp_tally_compute_loss(&(esp_tally){0}) == 0.0);
}

static void every_task_has_an_objective_of_its_own(void **state) {
  (void)state;
  for (int i = 0; esp_objectives[i]; i++) {
    if (esp_objectives[i]->task == ESP_ANY_TASK) continue;
    assert_ptr_equal(esp_objective_of((esp_task)esp_objectives[i]->task), esp_objectives[i]);
    assert_true(esp_objectives[i]->needs_teacher == (esp_objectives[i]->task == ESP_TASK_EMBED));
  }
  assert_string_equal(esp_objective_of(ESP_TASK_MASKED)->name, "masked");
}

static void classifier_refuses_labels_that_are_no_classes(void **state) {
  (void)state;
  const esp_model model = {.task = ESP_TASK_CLASSIFY, .n_outputs = 2};
  esp_dataset data = {.path = (char *)(uintptr_t) "here", .classes = 2};
  const esp_objective *objective = esp_objective_of(ESP_TASK_CLASSIFY);
  assert_int_equal(objective->check(&model, &data), ESP_OK);
  data.classes = 3;
  assert_failure(objective->check(&model, &data), ESP_MISMATCH, "found 3 classes");
}

static void classifier_refuses_a_single_class(void **state) {
  (void)state;
  const esp_model model = {.task = ESP_TASK_CLASSIFY, .n_outputs = 1};
  const esp_dataset data = {.path = (char *)(uintptr_t) "here", .classes = 1};
  assert_failure(esp_objective_of(ESP_TASK_CLASSIFY)->check(&model, &data), ESP_MISMATCH,
                 "at least 2 classes, found 1");
  assert_false(esp_model_has_targets(&model, &data));
}

static void language_refuses_sequences_of_one_token(void **state) {
  (void)state;
  const esp_model model = {.family = esp_families[0], .task = ESP_TASK_LANGUAGE, .n_outputs = 9};
  int32_t lengths[2] = {1, 1};
  esp_dataset data = {.path = (char *)(uintptr_t) "here", .count = 2, .width = 1};
  const esp_objective *objective = esp_objective_of(ESP_TASK_LANGUAGE);
  assert_failure(objective->check(&model, &data), ESP_MISMATCH, "at least 2 tokens");
  data.width = 3;
  assert_int_equal(objective->check(&model, &data), ESP_OK);
  data.lengths = lengths;
  assert_failure(objective->check(&model, &data), ESP_MISMATCH, "at least 2 tokens");
  lengths[1] = 2;
  assert_int_equal(objective->check(&model, &data), ESP_OK);
}

ESP_TEST_MAIN(cmocka_unit_test(classifier_sums_the_cross_entropy_of_samples),
              cmocka_unit_test(language_predicts_the_next_tokens),
              cmocka_unit_test(language_leaves_padding_out),
              cmocka_unit_test(masked_predicts_the_tokens_themselves),
              cmocka_unit_test(given_labels_take_the_place_of_the_datas),
              cmocka_unit_test(dlogits_may_be_the_logits),
              cmocka_unit_test(regression_sums_squared_errors),
              cmocka_unit_test(regression_sums_in_the_tallys_unit),
              cmocka_unit_test(regression_takes_a_class_for_a_number),
              cmocka_unit_test(multi_label_sums_the_cross_entropy_of_labels),
              cmocka_unit_test(multi_label_takes_large_logits),
              cmocka_unit_test(numbers_have_the_slopes_of_differences),
              cmocka_unit_test(drawn_targets_have_the_fisher_information),
              cmocka_unit_test(cosine_compares_means_of_the_states),
              cmocka_unit_test(cosine_gradient_matches_central_differences),
              cmocka_unit_test(cosine_with_a_state_of_zero_is_zero),
              cmocka_unit_test(a_tally_tells_of_losses_that_are_no_numbers),
              cmocka_unit_test(a_tally_caps_the_loss_of_a_part),
              cmocka_unit_test(a_tally_without_targets_has_no_loss),
              cmocka_unit_test(every_task_has_an_objective_of_its_own),
              cmocka_unit_test(classifier_refuses_labels_that_are_no_classes),
              cmocka_unit_test(classifier_refuses_a_single_class),
              cmocka_unit_test(language_refuses_sequences_of_one_token))
