/* Distillation against its formula in double precision, its gradient against differences of that.
 */
#include "unit.h"

#include "espalier/flow/objective.h"

#include <math.h>
#include <string.h>

enum { SEQUENCES = 3, WIDTH = 4, ROWS = SEQUENCES * WIDTH, OUTPUTS = 7, VALUES = ROWS * OUTPUTS };

static const int32_t tokens[ROWS] = {3, 1, 6, 0, 5, 2, 2, 4, 1, 0, 3, 6};
static const int32_t lengths[SEQUENCES] = {4, 2, 1};
static const int32_t targets[ROWS] = {-1, 4, -1, 0, -1, -1, 6, -1, -1, -1, -1, -1};
static const int32_t classes[ROWS] = {0, 6, 3, 3, 2, 1, 0, 5, 4, 2, 1, 6};

/* What is measured, and which rows count under which label (-1: none). */
typedef struct example {
  esp_model model;
  esp_batch batch;
  esp_objective_options options;
  int32_t labels[ROWS];
  float teacher[VALUES], logits[VALUES];
} example;

/* Random logits, `spread` wide. */
static void set_logits(example *self, double spread) {
  for (uint64_t i = 0; i < VALUES; i++) {
    self->teacher[i] = (float)(spread * esp_rng_normal(1, 0, i));
    self->logits[i] = (float)(spread * esp_rng_normal(1, 1, i) + 3.0);
  }
}

static example new_example(esp_task task, double temperature, double mix) {
  example self = {.model = {.task = task, .n_outputs = OUTPUTS},
                  .batch = {.kind = ESP_DATA_TOKENS,
                            .count = task == ESP_TASK_CLASSIFY ? ROWS : SEQUENCES,
                            .width = WIDTH,
                            .tokens = tokens,
                            .lengths = task == ESP_TASK_CLASSIFY ? NULL : lengths,
                            .hidden = task == ESP_TASK_MASKED ? targets : NULL,
                            .labels = classes},
                  .options = {temperature, mix}};
  for (int r = 0; r < ROWS; r++) {
    const bool follows = r % WIDTH + 1 < lengths[r / WIDTH];
    self.labels[r] = task == ESP_TASK_CLASSIFY ? classes[r]
                     : task == ESP_TASK_MASKED ? targets[r]
                     : follows                 ? tokens[r + 1]
                                               : -1;
  }
  set_logits(&self, 2.0);
  return self;
}

static esp_tally measure(const example *self, const float *logits, float *dlogits) {
  esp_workspace scratch = {0};
  esp_tally tally = {0};
  esp_objective_with_teacher(self->model.task)
      ->measure(&(esp_outputs){.model = &self->model,
                               .batch = &self->batch,
                               .logits = logits,
                               .teacher = self->teacher,
                               .options = &self->options,
                               .dlogits = dlogits,
                               .workspace = &scratch},
                &tally);
  esp_workspace_clear(&scratch);
  return tally;
}

/* log of softmax(z / T) of one row. */
static void normalise(const double *z, double temperature, double *logs) {
  double top = z[0], sum = 0.0;
  for (int i = 0; i < OUTPUTS; i++) top = fmax(top, z[i]);
  for (int i = 0; i < OUTPUTS; i++) sum += exp((z[i] - top) / temperature);
  for (int i = 0; i < OUTPUTS; i++) logs[i] = (z[i] - top) / temperature - log(sum);
}

/* (1 - mix) T^2 KL(teacher || model) + mix cross-entropy. */
static double naive_row(const example *self, int r, const double *z) {
  const double hot = self->options.temperature;
  double taught[OUTPUTS], t[OUTPUTS], s[OUTPUTS], plain[OUTPUTS], divergence = 0.0;
  for (int i = 0; i < OUTPUTS; i++) taught[i] = (double)self->teacher[r * OUTPUTS + i];
  normalise(taught, hot, t);
  normalise(z, hot, s);
  normalise(z, 1.0, plain);
  for (int i = 0; i < OUTPUTS; i++) divergence += exp(t[i]) * (t[i] - s[i]);
  return (1.0 - self->options.mix) * hot * hot * divergence -
         self->options.mix * plain[self->labels[r]];
}

/* Of the logits with one of them moved by h. */
static double naive_loss(const example *self, int moved, double h) {
  double loss = 0.0;
  for (int r = 0; r < ROWS; r++) {
    double z[OUTPUTS];
    for (int i = 0; i < OUTPUTS; i++)
      z[i] = (double)self->logits[r * OUTPUTS + i] + (r * OUTPUTS + i == moved ? h : 0.0);
    if (self->labels[r] >= 0) loss += naive_row(self, r, z);
  }
  return loss;
}

static int count_labels(const example *self) {
  int n = 0;
  for (int r = 0; r < ROWS; r++) n += self->labels[r] >= 0;
  return n;
}

static void check_gradient(const example *self, const float *dlogits) {
  const double h = 1e-4, scale = fmax(1.0, self->options.temperature);
  for (int i = 0; i < VALUES; i++) {
    const double slope = (naive_loss(self, i, h) - naive_loss(self, i, -h)) / (2.0 * h);
    if (self->labels[i / OUTPUTS] < 0)
      assert_true(dlogits[i] == 0.0f);
    else
      assert_true(fabs((double)dlogits[i] - slope) < 1e-6 * scale);
  }
}

static void check(esp_task task) {
  static const double temperatures[] = {0.5, 1.0, 2.0, 20.0}, mixes[] = {0.0, 0.3, 1.0};
  for (size_t t = 0; t < ESP_COUNT(temperatures); t++)
    for (size_t m = 0; m < ESP_COUNT(mixes); m++) {
      const example self = new_example(task, temperatures[t], mixes[m]);
      float dlogits[VALUES];
      memset(dlogits, 0x55, sizeof dlogits); // is overwritten
      const esp_tally tally = measure(&self, self.logits, dlogits);
      const double expected = naive_loss(&self, -1, 0.0);
      assert_int_equal(tally.targets, count_labels(&self));
      assert_true(fabs((double)tally.loss * 0x1p-20 - expected) < 1e-5 * fmax(1.0, expected));
      assert_false(tally.is_undefined || tally.is_capped);
      check_gradient(&self, dlogits);
    }
}

static void distillation_of_next_tokens_is_the_formula(void **state) {
  (void)state;
  check(ESP_TASK_LANGUAGE);
}

static void distillation_of_classes_is_the_formula(void **state) {
  (void)state;
  check(ESP_TASK_CLASSIFY);
}

static void distillation_of_masked_tokens_is_the_formula(void **state) {
  (void)state;
  check(ESP_TASK_MASKED);
}

/* Without masks all tokens but padding count, under themselves. */
static void distillation_of_unmasked_tokens_takes_all_but_padding(void **state) {
  (void)state;
  example self = new_example(ESP_TASK_MASKED, 2.0, 0.3);
  float dlogits[VALUES];
  self.batch.hidden = NULL;
  for (int r = 0; r < ROWS; r++) self.labels[r] = r % WIDTH < lengths[r / WIDTH] ? tokens[r] : -1;
  assert_int_equal(measure(&self, self.logits, dlogits).targets, 7);
  check_gradient(&self, dlogits);
}

/* Every token but padding counts; those that are not masked have the teacher's part alone. */
static void distillation_everywhere_takes_the_teacher_where_nothing_is_masked(void **state) {
  (void)state;
  example self = new_example(ESP_TASK_MASKED, 2.0, 0.0);
  float whole[VALUES], part[VALUES];
  self.options.is_everywhere = true;
  for (int r = 0; r < ROWS; r++)
    if (r % WIDTH < lengths[r / WIDTH]) self.labels[r] = tokens[r];
  assert_int_equal(measure(&self, self.logits, whole).targets, 8); // one is masked behind the end
  check_gradient(&self, whole);
  self.options.mix = 0.25;
  measure(&self, self.logits, part);
  for (int i = 0; i < VALUES; i++)
    if (targets[i / OUTPUTS] < 0) assert_true(fabsf(part[i] - 0.75f * whole[i]) < 1e-6f);
}

static void distillation_gradient_may_take_the_place_of_the_logits(void **state) {
  (void)state;
  static const esp_task tasks[] = {ESP_TASK_LANGUAGE, ESP_TASK_CLASSIFY, ESP_TASK_MASKED};
  for (size_t i = 0; i < ESP_COUNT(tasks); i++)
    for (int mixed = 0; mixed < 2; mixed++) {
      const example self = new_example(tasks[i], 2.0, 0.3 * mixed);
      float apart[VALUES], in_place[VALUES];
      memcpy(in_place, self.logits, sizeof in_place);
      const esp_tally first = measure(&self, self.logits, apart);
      const esp_tally second = measure(&self, in_place, in_place);
      assert_memory_equal(apart, in_place, sizeof apart);
      assert_memory_equal(&first, &second, sizeof first);
    }
}

static void distillation_tally_is_the_same_without_gradient(void **state) {
  (void)state;
  const example self = new_example(ESP_TASK_LANGUAGE, 2.0, 0.3);
  float dlogits[VALUES];
  const esp_tally with = measure(&self, self.logits, dlogits);
  const esp_tally without = measure(&self, self.logits, NULL);
  assert_memory_equal(&with, &without, sizeof with);
}

static void distillation_counts_what_the_model_gets_right(void **state) {
  (void)state;
  example self = new_example(ESP_TASK_CLASSIFY, 1.0, 0.0);
  memset(self.logits, 0, sizeof self.logits);
  for (int r = 0; r < ROWS - 5; r++) self.logits[r * OUTPUTS + classes[r]] = 1.0f;
  for (int r = ROWS - 5; r < ROWS; r++)
    self.logits[r * OUTPUTS + (classes[r] + 1) % OUTPUTS] = 1.0f;
  assert_int_equal(measure(&self, self.logits, NULL).correct, ROWS - 5);
}

/* Shifted logits are the same predictions. */
static void distillation_of_the_teacher_itself_is_zero(void **state) {
  (void)state;
  example self = new_example(ESP_TASK_LANGUAGE, 3.0, 0.0);
  float dlogits[VALUES];
  for (int i = 0; i < VALUES; i++) self.logits[i] = self.teacher[i] + 2.0f;
  const esp_tally tally = measure(&self, self.logits, dlogits);
  assert_true(llabs(tally.loss) < 10); // of 2^-20
  for (int i = 0; i < VALUES; i++) assert_true(fabsf(dlogits[i]) < 1e-6f);
}

/* Of logits as large as trained models have, and larger: nothing overflows. */
static void distillation_takes_large_logits(void **state) {
  (void)state;
  static const double spreads[] = {50.0, 1000.0, 1e30};
  for (size_t i = 0; i < ESP_COUNT(spreads); i++) {
    example self = new_example(ESP_TASK_LANGUAGE, 1.0, 0.5);
    float dlogits[VALUES];
    set_logits(&self, spreads[i]);
    const esp_tally tally = measure(&self, self.logits, dlogits);
    assert_false(tally.is_undefined);
    for (int v = 0; v < VALUES; v++) assert_true(fabsf(dlogits[v]) <= 1.0f);
    const double expected = naive_loss(&self, -1, 0.0);
    if (!tally.is_capped)
      assert_true(fabs((double)tally.loss * 0x1p-20 - expected) < 1e-5 * expected);
  }
}

static void distillation_tells_of_logits_that_are_no_numbers(void **state) {
  (void)state;
  for (int of_teacher = 0; of_teacher < 2; of_teacher++) {
    example self = new_example(ESP_TASK_LANGUAGE, 2.0, 0.0);
    (of_teacher ? self.teacher : self.logits)[5] = NAN;
    assert_true(measure(&self, self.logits, NULL).is_undefined);
  }
}

ESP_TEST_MAIN(cmocka_unit_test(distillation_of_next_tokens_is_the_formula),
              cmocka_unit_test(distillation_of_classes_is_the_formula),
              cmocka_unit_test(distillation_of_masked_tokens_is_the_formula),
              cmocka_unit_test(distillation_of_unmasked_tokens_takes_all_but_padding),
              cmocka_unit_test(distillation_everywhere_takes_the_teacher_where_nothing_is_masked),
              cmocka_unit_test(distillation_gradient_may_take_the_place_of_the_logits),
              cmocka_unit_test(distillation_tally_is_the_same_without_gradient),
              cmocka_unit_test(distillation_counts_what_the_model_gets_right),
              cmocka_unit_test(distillation_of_the_teacher_itself_is_zero),
              cmocka_unit_test(distillation_takes_large_logits),
              cmocka_unit_test(distillation_tells_of_logits_that_are_no_numbers))
