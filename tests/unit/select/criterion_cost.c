#include "unit.h"

#include "espalier/select/criterion.h"
#include "espalier/select/joint.h"
#include "espalier/select/mask.h"

static const esp_criterion *find(const char *name) {
  const esp_criterion *criterion = NULL;
  assert_int_equal(esp_criterion_find(name, &criterion), ESP_OK);
  return criterion;
}

static esp_cost cost_of(const char *name, esp_criterion_shape shape) {
  esp_cost cost = {0};
  esp_criterion_add_cost(find(name), &shape, &cost);
  return cost;
}

static const esp_criterion_shape small = {.units = 4, .width = 1, .upper = 5, .outputs = 3};

/* A in a triangle beside Q, 64 pending columns of each; diagonal blocks and a column of each; two
 * panels of the outputs and a block of 128 columns. The BLAS keeps 420 rows. */
static void set_mi_holds_its_matrices(void **state) {
  (void)state;
  const esp_cost cost = cost_of("set-mi", small);
  assert_true(cost.kept_bytes == 8.0 * 420.0 * 4.0);
  const double part = 8.0 * 5.0 * (4.0 + 128.0) + 8.0 * 16.0;
  assert_true(cost.peak_bytes - cost.kept_bytes == part + 8.0 * 4.0 * (2.0 * 3.0 + 128.0));
  assert_true(cost.work.serial == 3.0 * 16.0 * (4.0 + 3.0));
}

static void set_mi_multiplies_the_map_by_a_metric(void **state) {
  (void)state;
  esp_criterion_shape shape = small;
  shape.has_metric = true;
  const esp_cost plain = cost_of("set-mi", small), metric = cost_of("set-mi", shape);
  assert_true(metric.work.serial - plain.work.serial == 9.0 * (1.0 + 4.0));
  shape.outputs = 10000;
  assert_true(cost_of("set-mi", shape).peak_bytes >= 12e8);
}

static void set_mi_forward_holds_the_covariance_with_the_outputs(void **state) {
  (void)state;
  esp_criterion_shape wide = small;
  wide.outputs = 1003;
  const esp_cost plain = cost_of("set-mi-forward", small), more = cost_of("set-mi-forward", wide);
  assert_true(more.peak_bytes - plain.peak_bytes == 8.0 * 4.0 * 1000.0);
  assert_true(more.work.serial > plain.work.serial);
}

static void pairs_hold_a_matrix_of_units(void **state) {
  (void)state;
  const esp_criterion_shape heads = {.units = 4, .width = 8, .upper = 5, .outputs = 3};
  assert_true(cost_of("mi-mrmr", small).peak_bytes == 8.0 * 4.0 * 7.0);
  assert_true(cost_of("mi-cmim", heads).peak_bytes == 8.0 * 4.0 * 7.0);
}

static void scores_of_features_pass_over_what_they_read(void **state) {
  (void)state;
  assert_true(cost_of("flap", small).work.serial == 2.0 * 4.0 * 3.0);
  assert_true(cost_of("wanda", small).work.serial == 2.0 * 4.0 * 3.0);
  assert_true(cost_of("mi", small).work.serial == 4.0 * 5.0);
  assert_true(cost_of("leverage", small).work.serial == 64.0);
}

static void random_takes_nothing(void **state) {
  (void)state;
  const esp_cost cost = cost_of("random", small);
  assert_true(cost.peak_bytes == 0.0 && cost.work.serial == 0.0);
}

static void no_criterion_takes_less_for_more_units(void **state) {
  (void)state;
  for (int i = 0; esp_criteria[i]; i++) {
    esp_cost before = {0};
    for (int64_t units = 0; units <= 64; units += 16) {
      const esp_criterion_shape shape = {.units = units, .width = 2, .upper = 7, .outputs = 9};
      esp_cost cost = {0};
      esp_criterion_add_cost(esp_criteria[i], &shape, &cost);
      assert_true(cost.peak_bytes >= before.peak_bytes);
      assert_true(cost.work.serial >= before.work.serial);
      before = cost;
    }
  }
}

static void esp_joint_add_cost_keeps_a_part_a_reader(void **state) {
  (void)state;
  esp_cost one = {0}, both = {0};
  esp_joint_add_cost(find("set-mi"), &small, true, &one);
  esp_joint_add_cost(find("set-mi"), &small, true, &both);
  esp_joint_add_cost(find("set-mi"), &small, false, &both);
  assert_true(one.kept_bytes == 8.0 * 5.0 * 132.0 + 8.0 * 16.0);
  assert_true(both.kept_bytes == 2.0 * one.kept_bytes);
}

static void esp_joint_add_cost_keeps_one_sum_of_pairs(void **state) {
  (void)state;
  esp_cost one = {0}, both = {0};
  esp_joint_add_cost(find("mi-jmi"), &small, true, &one);
  esp_joint_add_cost(find("mi-jmi"), &small, true, &both);
  esp_joint_add_cost(find("mi-jmi"), &small, false, &both);
  assert_true(one.kept_bytes == 8.0 * 4.0 * 7.0 && both.kept_bytes == one.kept_bytes);
}

static void a_reader_that_is_not_refitted_is_smaller(void **state) {
  (void)state;
  esp_criterion_shape fixed = small;
  fixed.is_fixed = true;
  esp_cost tied = {0}, refitted = {0};
  esp_joint_add_cost(find("set-mi"), &fixed, true, &tied);
  esp_joint_add_cost(find("set-mi"), &small, true, &refitted);
  assert_true(tied.kept_bytes == 8.0 * 16.0 + 8.0 * 16.0 && tied.kept_bytes < refitted.kept_bytes);
}

static void esp_mask_add_cost_is_of_a_row(void **state) {
  (void)state;
  esp_cost cost = {0};
  esp_mask_add_cost(7, 5, &cost);
  assert_true(cost.peak_bytes == 12.0 * 5.0 && cost.work.values > 35.0);
}

ESP_TEST_MAIN(cmocka_unit_test(set_mi_holds_its_matrices),
              cmocka_unit_test(set_mi_multiplies_the_map_by_a_metric),
              cmocka_unit_test(set_mi_forward_holds_the_covariance_with_the_outputs),
              cmocka_unit_test(pairs_hold_a_matrix_of_units),
              cmocka_unit_test(scores_of_features_pass_over_what_they_read),
              cmocka_unit_test(random_takes_nothing),
              cmocka_unit_test(no_criterion_takes_less_for_more_units),
              cmocka_unit_test(esp_joint_add_cost_keeps_a_part_a_reader),
              cmocka_unit_test(esp_joint_add_cost_keeps_one_sum_of_pairs),
              cmocka_unit_test(a_reader_that_is_not_refitted_is_smaller),
              cmocka_unit_test(esp_mask_add_cost_is_of_a_row))
