#include "unit.h"

#include "cost.h"

#include "espalier/surgery/repair.h"

/* A dense model and a smaller one, and four micro-batches of 8 rows. */
typedef struct bench {
  esp_model *dense, *pruned;
  esp_shard_shape samples;
  esp_stats_shape stats;
  esp_repair_shape shape;
} bench;

static bench *make_bench(int ranks, esp_model *dense, esp_model *pruned) {
  bench *self = ESP_NEW(bench, 1);
  *self = (bench){dense, pruned, cost_samples_new(ranks, 4, 8, 1), {0}, {0}};
  esp_stats_shape_init(&self->stats, &self->samples, 4, false);
  self->shape = (esp_repair_shape){.ranks = ranks,
                                   .dense = dense,
                                   .pruned = pruned,
                                   .stats = &self->stats,
                                   .samples = &self->samples};
  return self;
}

static void free_bench(bench *self) {
  esp_stats_shape_clear(&self->stats);
  esp_shard_shape_clear(&self->samples);
  esp_model_free(&self->pruned);
  esp_model_free(&self->dense);
  esp_free(&self);
}

static bench *make_perceptrons(int ranks, int64_t kept) {
  return make_bench(ranks, cost_mlp_new(5, 8, 3), cost_mlp_new(5, kept, 3));
}

static esp_cost cost_of(const char *name, const bench *self) {
  const esp_repair *repair = NULL;
  esp_cost cost = {0};
  assert_int_equal(esp_repair_find(name, &repair), ESP_OK);
  esp_repair_add_cost(repair, &self->shape, &cost);
  return cost;
}

static void none_takes_nothing(void **state) {
  (void)state;
  bench *self = make_perceptrons(2, 4);
  const esp_cost cost = cost_of("none", self);
  assert_true(cost.peak_bytes == 0.0 && cost_sent(&cost) == 0.0);
  free_bench(self);
}

/* 4 of 8 features, 3 outputs, two ranks: edges, moments and the covariance are read; the rows of
 * the consumer, covariance, right-hand side and solution stand together with the solver's part. */
static void least_squares_takes_a_solve_a_site(void **state) {
  (void)state;
  bench *self = make_perceptrons(2, 4);
  const esp_cost cost = cost_of("least-squares", self);
  const double rows = 4.0 * 3.0 * (8.0 + 4.0), covariance = 4.0 * 64.0, right = 4.0 * 12.0;
  const double solution = 8.0 * 12.0, part = 8.0 * (16.0 + 12.0 / 2.0), panel = 8.0 * 12.0;
  assert_true(cost.peak_bytes == rows + covariance + right + solution + part + panel);
  assert_true(cost.kept_bytes == 4.0 * 12.0);
  assert_true(cost.traffic[ESP_BCAST] == 4.0 * 24.0 + 32.0 * 8.0 + 256.0);
  assert_true(cost.traffic[ESP_ALLGATHER] == 4.0 * 12.0 / 2.0 + 96.0 / 2.0);
  assert_true(cost.work.flops == 2.0 * 4.0 * 3.0 * 8.0 && cost.work.solves == 1.0);
  free_bench(self);
}

static void bias_reads_moments_alone(void **state) {
  (void)state;
  bench *self = make_perceptrons(2, 4);
  const esp_cost cost = cost_of("bias", self);
  assert_true(cost.traffic[ESP_BCAST] == 4.0 * 24.0 + 32.0 * 8.0);
  assert_true(cost.traffic[ESP_ALLREDUCE] == 0.0 && cost.kept_bytes == 4.0 * 12.0);
  free_bench(self);
}

static void a_site_that_lost_nothing_is_left_alone(void **state) {
  (void)state;
  bench *self = make_perceptrons(2, 8);
  const esp_cost bias = cost_of("bias", self), least_squares = cost_of("least-squares", self);
  assert_true(bias.peak_bytes == 0.0 && cost_sent(&bias) == 0.0);
  assert_true(least_squares.kept_bytes == 0.0 && least_squares.work.solves == 0.0);
  free_bench(self);
}

/* Six ridges, after plain least squares, which the first site is expected to stay with; products
 * and their guards of two parts. */
static void sequential_sums_and_solves(void **state) {
  (void)state;
  bench *self = make_perceptrons(2, 4);
  const esp_cost before = cost_of("least-squares", self), cost = cost_of("sequential", self);
  assert_true(cost.work.solves == before.work.solves + 6.0);
  assert_true(cost.kept_bytes == before.kept_bytes && cost.peak_bytes > before.peak_bytes);
  const double sums = 2.0 * (8.0 * (10.0 + 12.0 + 4.0 + 6.0 + 1.0) + 3.0 * 24.0);
  const double parts = 8.0 * 2.0 * 6.0; // slopes and curvatures
  assert_true(cost.traffic[ESP_ALLREDUCE] == sums + parts);
  assert_true(cost.traffic[ESP_BCAST] - before.traffic[ESP_BCAST] == 8.0 * (4.0 + 3.0 + 1.0));
  free_bench(self);
}

static double count_corrections(int64_t units, int64_t kept, bool is_cut_below) {
  bench *self = make_bench(2, cost_mlp_new(5, units, 3), cost_mlp_new(5, kept, 3));
  self->shape.is_width_cut = is_cut_below;
  const double solves = cost_of("sequential", self).work.solves - 1.0; // plain least squares
  free_bench(self);
  return solves;
}

/* And the fit where a correction is expected: 32 rows are few for 16 features. */
static void sequential_expects_no_fit_of_the_first_site_nor_of_few_rows(void **state) {
  (void)state;
  assert_true(count_corrections(8, 4, false) == 6.0);
  assert_true(count_corrections(8, 4, true) == 7.0);
  assert_true(count_corrections(20, 16, true) == 6.0);
}

static void sequential_also_keeps_what_was_not_cut(void **state) {
  (void)state;
  bench *self = make_perceptrons(1, 8);
  assert_true(cost_of("sequential", self).kept_bytes == 4.0 * 8.0 * 3.0);
  free_bench(self);
}

static void repairs_send_nothing_alone(void **state) {
  (void)state;
  bench *self = make_perceptrons(1, 4);
  for (int i = 0; esp_repairs[i]; i++) {
    const esp_cost cost = cost_of(esp_repairs[i]->name, self);
    assert_true(cost_sent(&cost) == 0.0);
  }
  free_bench(self);
}

static void repairs_hold_no_more_on_more_ranks(void **state) {
  (void)state;
  bench *few = make_perceptrons(2, 4), *many = make_perceptrons(4, 4);
  for (int i = 0; esp_repairs[i]; i++)
    assert_true(cost_of(esp_repairs[i]->name, many).peak_bytes <=
                cost_of(esp_repairs[i]->name, few).peak_bytes);
  free_bench(few);
  free_bench(many);
}

/* Queries, keys, values, gate, up and the head read the stream, 6 of 8 dimensions of it. */
static void least_squares_refits_the_readers_of_the_width(void **state) {
  (void)state;
  bench *self = make_bench(1, cost_llama_new(8, 6, false), cost_llama_new(6, 6, false));
  self->shape.is_width_cut = true;
  const esp_cost cost = cost_of("least-squares", self);
  assert_true(cost.kept_bytes == 4.0 * 6.0 * (8.0 + 4.0 + 4.0 + 6.0 + 6.0 + 10.0));
  assert_true(cost.work.solves == 7.0 * 6.0);
  self->shape.is_width_cut = false;
  assert_true(cost_of("least-squares", self).work.solves == 0.0);
  free_bench(self);
}

static void a_tied_head_is_not_refitted(void **state) {
  (void)state;
  bench *self = make_bench(1, cost_llama_new(8, 6, true), cost_llama_new(6, 6, true));
  self->shape.is_width_cut = true;
  assert_true(cost_of("least-squares", self).work.solves == 7.0 * 5.0);
  free_bench(self);
}

/* Both writers of the layer that stays are fitted whole. */
static void whole_layers_are_repaired_by_their_writers(void **state) {
  (void)state;
  bench *self = make_bench(1, cost_llama_new(8, 6, false), cost_llama_new(8, 6, false));
  self->shape.is_of_layers = true;
  const esp_cost cost = cost_of("sequential", self), bias = cost_of("bias", self);
  assert_true(cost.kept_bytes == 4.0 * 8.0 * (8.0 + 6.0) && cost.work.solves == 14.0);
  assert_true(bias.peak_bytes == 0.0);
  free_bench(self);
}

ESP_TEST_MAIN(cmocka_unit_test(none_takes_nothing),
              cmocka_unit_test(least_squares_takes_a_solve_a_site),
              cmocka_unit_test(bias_reads_moments_alone),
              cmocka_unit_test(a_site_that_lost_nothing_is_left_alone),
              cmocka_unit_test(sequential_sums_and_solves),
              cmocka_unit_test(sequential_expects_no_fit_of_the_first_site_nor_of_few_rows),
              cmocka_unit_test(sequential_also_keeps_what_was_not_cut),
              cmocka_unit_test(repairs_send_nothing_alone),
              cmocka_unit_test(repairs_hold_no_more_on_more_ranks),
              cmocka_unit_test(least_squares_refits_the_readers_of_the_width),
              cmocka_unit_test(a_tied_head_is_not_refitted),
              cmocka_unit_test(whole_layers_are_repaired_by_their_writers))
