/* How a sparsity is shared out over matrices. */
#include "unit.h"

#include "density.h"

/* LeNet-300-100 at 90 %: by hand, epsilon = (26620 - 0) / (1084 + 400 + 110) = 16.7; the last would
 * keep 1837 of its 1000 weights, so it is dense and the others share 25620: epsilon 17.264. */
static const density_matrix lenet[] = {
    {235200, 784, 300, 1}, {30000, 300, 100, 1}, {1000, 100, 10, 1}};

static void erk_makes_a_small_matrix_dense_and_shares_out_the_rest(void **state) {
  (void)state;
  int64_t keep[3];
  density_share_erk(lenet, 3, 0.9, keep);
  assert_int_equal(keep[2], 1000);
  assert_int_equal(keep[0], 18714);
  assert_int_equal(keep[1], 6906);
  assert_int_equal(keep[0] + keep[1] + keep[2], 26620);
}

static void erk_is_dense_at_no_sparsity_and_keeps_the_least_at_a_high_one(void **state) {
  (void)state;
  density_matrix few[] = {{100, 10, 10, 3}, {400, 20, 20, 3}};
  int64_t keep[2];
  density_share_erk(few, 2, 0.0, keep);
  assert_int_equal(keep[0], 100);
  assert_int_equal(keep[1], 400);
  density_share_erk(few, 2, 0.9999, keep);
  assert_int_equal(keep[0], 3);
  assert_int_equal(keep[1], 3);
}

static void uniform_shares_are_rounded_once(void **state) {
  (void)state;
  int64_t keep[3];
  density_share_uniform(lenet, 3, 0.95, keep);
  assert_int_equal(keep[0], 11760);
  assert_int_equal(keep[1], 1500);
  assert_int_equal(keep[2], 50);
}

ESP_TEST_MAIN(cmocka_unit_test(erk_makes_a_small_matrix_dense_and_shares_out_the_rest),
              cmocka_unit_test(erk_is_dense_at_no_sparsity_and_keeps_the_least_at_a_high_one),
              cmocka_unit_test(uniform_shares_are_rounded_once))
