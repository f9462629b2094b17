#include "espalier/select/mask.h"

#include "unit.h"

#include "espalier/core/rng.h"
#include "espalier/select/criterion.h"

#include <math.h>
#include <string.h>

enum { OUTPUTS = 13, INPUTS = 21, COUNT = OUTPUTS * INPUTS };

static void check_mask(const uint8_t *mask, const char *expected) {
  for (int64_t i = 0; expected[i]; i++) assert_int_equal(esp_mask_has(mask, i), expected[i] == '1');
}

static void mask_magnitude_keeps_the_largest_of_the_matrix(void **state) {
  (void)state;
  const float weights[] = {0.1f, -4, 3, 0, 2, -0.2f};
  uint8_t mask[1] = {0};
  esp_mask_magnitude(
      &(esp_mask_evidence){.weights = weights, .outputs = 2, .inputs = 3, .sparsity = 0.5}, mask);
  check_mask(mask, "011010");
}

static void mask_magnitude_keeps_the_lowest_index_of_ties(void **state) {
  (void)state;
  const float weights[] = {1, -1, 2, 1, -0.0f, 1};
  uint8_t mask[1] = {0};
  esp_mask_magnitude(
      &(esp_mask_evidence){.weights = weights, .outputs = 1, .inputs = 6, .sparsity = 0.5}, mask);
  check_mask(mask, "111000");
}

/* Scores 1*4 2*1 3*1 and 3*4 2*1 1*1 by row. */
static void mask_wanda_weighs_by_the_input_and_keeps_by_row(void **state) {
  (void)state;
  const float weights[] = {1, -2, 3, -3, 2, 1};
  const double norm[] = {4, 1, 1};
  uint8_t mask[1] = {0};
  esp_mask_wanda(
      &(esp_mask_evidence){
          .weights = weights, .outputs = 2, .inputs = 3, .norm = norm, .sparsity = 1.0 / 3.0},
      mask);
  check_mask(mask, "101110");
}

static void mask_wanda_without_norms_is_magnitude_by_row(void **state) {
  (void)state;
  const float weights[] = {9, 8, 7, 3, 2, 1};
  uint8_t mask[1] = {0};
  esp_mask_wanda(
      &(esp_mask_evidence){.weights = weights, .outputs = 2, .inputs = 3, .sparsity = 2.0 / 3.0},
      mask);
  check_mask(mask, "100100");
}

static void fill(float *weights, double *norm) {
  for (int64_t i = 0; i < COUNT; i++) weights[i] = (float)esp_rng_normal(5, 1, (uint64_t)i);
  for (int64_t j = 0; j < INPUTS; j++) norm[j] = esp_rng_uniform(5, 2, (uint64_t)j);
}

/* Against sorting by hand: a weight of a row stays iff fewer than `keep` beat it. */
static void mask_wanda_agrees_with_the_naive_ranking(void **state) {
  (void)state;
  float weights[COUNT];
  double norm[INPUTS];
  uint8_t mask[(COUNT + 7) / 8] = {0};
  fill(weights, norm);
  esp_mask_wanda(&(esp_mask_evidence){weights, OUTPUTS, INPUTS, false, norm, 0.4}, mask);
  for (int64_t i = 0; i < COUNT; i++) {
    const int64_t row = i / INPUTS * INPUTS;
    int better = 0;
    for (int64_t j = 0; j < INPUTS; j++)
      better += fabs(weights[row + j] * norm[j]) > fabs(weights[i] * norm[i - row]);
    assert_int_equal(esp_mask_has(mask, i), better < 13); // round(0.6 * 21)
  }
}

static void mask_wanda_reads_the_transposed_matrix_alike(void **state) {
  (void)state;
  float weights[COUNT], turned[COUNT];
  double norm[INPUTS];
  uint8_t mask[(COUNT + 7) / 8] = {0}, other[(COUNT + 7) / 8] = {0};
  fill(weights, norm);
  for (int64_t i = 0; i < COUNT; i++) turned[i % INPUTS * OUTPUTS + i / INPUTS] = weights[i];
  esp_mask_wanda(&(esp_mask_evidence){weights, OUTPUTS, INPUTS, false, norm, 0.5}, mask);
  esp_mask_wanda(&(esp_mask_evidence){turned, OUTPUTS, INPUTS, true, norm, 0.5}, other);
  for (int64_t i = 0; i < COUNT; i++)
    assert_int_equal(esp_mask_has(mask, i), esp_mask_has(other, i % INPUTS * OUTPUTS + i / INPUTS));
}

static void masks_keep_exactly_what_is_asked(void **state) {
  (void)state;
  float weights[COUNT] = {0}; // all equal
  const double sparsities[] = {0.0, 0.31, 0.5, 0.999};
  for (unsigned s = 0; s < ESP_COUNT(sparsities); s++) {
    uint8_t mask[(COUNT + 7) / 8] = {0};
    esp_mask_magnitude(&(esp_mask_evidence){weights, OUTPUTS, INPUTS, false, NULL, sparsities[s]},
                       mask);
    assert_int_equal(esp_mask_count(mask, COUNT), llround(COUNT * (1.0 - sparsities[s])));
  }
}

static void only_magnitude_and_wanda_have_masks(void **state) {
  (void)state;
  for (const esp_criterion *const *row = esp_criteria; *row; row++)
    assert_int_equal((*row)->mask != NULL,
                     strcmp((*row)->name, "magnitude") == 0 || strcmp((*row)->name, "wanda") == 0);
}

ESP_TEST_MAIN(cmocka_unit_test(mask_magnitude_keeps_the_largest_of_the_matrix),
              cmocka_unit_test(mask_magnitude_keeps_the_lowest_index_of_ties),
              cmocka_unit_test(mask_wanda_weighs_by_the_input_and_keeps_by_row),
              cmocka_unit_test(mask_wanda_without_norms_is_magnitude_by_row),
              cmocka_unit_test(mask_wanda_agrees_with_the_naive_ranking),
              cmocka_unit_test(mask_wanda_reads_the_transposed_matrix_alike),
              cmocka_unit_test(masks_keep_exactly_what_is_asked),
              cmocka_unit_test(only_magnitude_and_wanda_have_masks))
