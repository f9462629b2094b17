#include "unit.h"

#include "espalier/linalg/cost.h"

/* 3 x 5 sums of 10 rows in 4 micro-batches: 120 bytes. */
static const esp_exact_shape plain = {
    .ranks = 2, .rows = 3.0, .cols = 5.0, .samples = 10.0, .batches = 4.0};

static void esp_exact_add_cost_of_a_small_sum(void **state) {
  (void)state;
  esp_cost cost = {0};
  esp_exact_add_cost(&plain, &cost);
  assert_true(esp_exact_bytes(3.0, 5.0) == 120.0);
  assert_true(cost.peak_bytes == 120.0 && cost.kept_bytes == 0.0); // what MPI receives in
  assert_true(cost.traffic[ESP_ALLREDUCE] == 120.0 + 24.0);
  assert_true(cost.work.flops == 2.0 * 10.0 * 15.0);
  assert_true(cost.work.bytes == 2.0 * 120.0 * 2.0 && cost.work.reduced == 120.0);
}

static void esp_exact_add_cost_forms_half_a_gram_matrix(void **state) {
  (void)state;
  esp_exact_shape gram = {1, 3.0, 3.0, 10.0, 4.0, true};
  esp_cost cost = {0}, of_two = {0};
  esp_exact_add_cost(&gram, &cost);
  assert_true(cost.work.flops == 10.0 * 9.0);
  assert_true(cost.peak_bytes == 0.0 && cost.traffic[ESP_ALLREDUCE] == 0.0); // alone
  gram.ranks = 2;
  esp_exact_add_cost(&gram, &of_two);
  assert_true(of_two.traffic[ESP_ALLREDUCE] == 8.0 * 6.0 + 24.0);
}

/* 6 unknowns: every rank has the matrix, and half of the solution. */
static void esp_solve_add_cost_of_a_small_system(void **state) {
  (void)state;
  esp_cost cost = {0};
  esp_solve_add_cost(2, 6.0, 2.0, &cost);
  assert_true(cost.peak_bytes == 8.0 * (36.0 + 12.0 / 2.0 + 12.0) && cost.kept_bytes == 0.0);
  assert_true(cost.traffic[ESP_ALLGATHER] == 96.0 / 2.0);
  assert_true(cost.work.solver == 2.0 * 36.0 * 2.0);
  assert_true(cost.work.serial == 6.0 * 6.0 * 6.0 / 3.0);
  assert_true(cost.work.solves == 1.0);
}

static void esp_solve_add_cost_shares_a_large_matrix(void **state) {
  (void)state;
  double before = 0.0;
  for (int ranks = 2; ranks <= 64; ranks *= 2) {
    esp_cost cost = {0};
    esp_solve_add_cost(ranks, 3000.0, 10.0, &cost);
    if (ranks > 2) assert_true(cost.peak_bytes < before);
    assert_true(cost.work.solver == 3000.0 * 3000.0 * (3000.0 / 3.0 + 20.0));
    assert_true(cost.work.serial == 0.0);
    before = cost.peak_bytes;
  }
}

static void esp_solve_add_cost_of_nothing(void **state) {
  (void)state;
  esp_cost cost = {0};
  esp_solve_add_cost(4, 0.0, 5.0, &cost);
  assert_true(cost.peak_bytes == 0.0 && cost.traffic[ESP_ALLGATHER] == 0.0);
  assert_true(cost.work.solver == 0.0 && cost.work.every == 0.0);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_exact_add_cost_of_a_small_sum),
              cmocka_unit_test(esp_exact_add_cost_forms_half_a_gram_matrix),
              cmocka_unit_test(esp_solve_add_cost_of_a_small_system),
              cmocka_unit_test(esp_solve_add_cost_shares_a_large_matrix),
              cmocka_unit_test(esp_solve_add_cost_of_nothing))
