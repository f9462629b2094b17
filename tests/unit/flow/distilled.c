/* What models of numbers, and of labels that do not exclude each other, learn from a teacher:
 * against numbers worked out by hand. */
#include "unit.h"

#include "espalier/flow/objective.h"

#include <math.h>

static const float labels[4] = {1.0f, 0.0f, 0.0f, 1.0f};

/* Two samples of two outputs. */
typedef struct example {
  esp_task task;
  float logits[4], teacher[4];
  esp_objective_options options;
  bool has_labels;
  float dlogits[4];
} example;

static double measure(example *self) {
  const esp_model model = {.task = self->task, .n_outputs = 2};
  const esp_batch batch = {.kind = ESP_DATA_TOKENS,
                           .count = 2,
                           .targets = self->has_labels ? labels : NULL,
                           .n_targets = self->has_labels ? 2 : 0};
  esp_tally tally = {0};
  esp_objective_with_teacher(self->task)
      ->measure(&(esp_outputs){.model = &model,
                               .batch = &batch,
                               .logits = self->logits,
                               .teacher = self->teacher,
                               .options = &self->options,
                               .dlogits = self->dlogits},
                &tally);
  assert_int_equal(tally.targets, 4);
  return (double)tally.loss * 0x1p-20;
}

static void check_dlogits(const example *self, const float *expected) {
  for (int i = 0; i < 4; i++) assert_float_equal(self->dlogits[i], expected[i], 1e-6f);
}

static void assert_near(double found, double expected) {
  assert_true(fabs(found - expected) < 1e-5);
}

static void numbers_take_the_squared_distance(void **state) {
  (void)state;
  example self = {ESP_TASK_REGRESS,
                  {1.0f, 2.0f, 0.0f, -1.0f},
                  {0.0f, 2.0f, 2.0f, -1.0f},
                  .options = {1.0, 0.0}};
  assert_near(measure(&self), 5.0);
  check_dlogits(&self, (const float[4]){2.0f, 0.0f, -4.0f, 0.0f});
}

static void numbers_mix_in_labels(void **state) {
  (void)state;
  example self = {ESP_TASK_REGRESS,
                  {1.0f, 2.0f, 0.0f, -1.0f},
                  {0.0f, 2.0f, 2.0f, -1.0f},
                  .options = {1.0, 0.25},
                  .has_labels = true};
  assert_near(measure(&self), 0.75 * 5.0 + 0.25 * 8.0);
  check_dlogits(&self, (const float[4]){1.5f, 1.0f, -3.0f, -1.0f});
}

/* Of each label 3/4 where the teacher has 1/2, at temperature 2: 4 (1/2 ln 4/3). */
static void labels_take_the_divergence(void **state) {
  (void)state;
  const float s = 2.0f * logf(3.0f);
  example self = {ESP_TASK_MULTI_LABEL, {s, s, -s, 0.0f}, {0.0f}, .options = {2.0, 0.0}};
  assert_near(measure(&self), 3.0 * 2.0 * log(4.0 / 3.0));
  check_dlogits(&self, (const float[4]){0.5f, 0.5f, -0.5f, 0.0f});
}

/* And 9/10 at temperature 1. */
static void labels_mix_in_labels(void **state) {
  (void)state;
  const float s = 2.0f * logf(3.0f);
  example self = {
      ESP_TASK_MULTI_LABEL, {s, s, -s, s}, {0.0f}, .options = {2.0, 0.5}, .has_labels = true};
  const double plain = 3.0 * log(10.0 / 9.0) + log(10.0);
  assert_near(measure(&self), 0.5 * (8.0 * log(4.0 / 3.0) + plain));
  check_dlogits(&self, (const float[4]){0.2f, 0.7f, -0.2f, 0.2f});
}

ESP_TEST_MAIN(cmocka_unit_test(numbers_take_the_squared_distance),
              cmocka_unit_test(numbers_mix_in_labels), cmocka_unit_test(labels_take_the_divergence),
              cmocka_unit_test(labels_mix_in_labels))
