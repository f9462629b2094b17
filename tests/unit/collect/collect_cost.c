#include "unit.h"

#include "cost.h"

#include "espalier/collect/cost.h"
#include "espalier/stats/cost.h"

static esp_cost cost_of(const esp_model *model, const esp_collect_options *options, int ranks) {
  esp_shard_shape samples = cost_samples_new(ranks, 4, 8, 1);
  esp_cost cost = {0};
  esp_collect_add_cost(model, options, &samples, &cost);
  esp_shard_shape_clear(&samples);
  return cost;
}

static const esp_collect_options plain = {
    .bins = 4, .pilot = 8, .covariance = true, .top_units = 256};

/* 7 features and 3 logits of 32 rows, 8 of them in the pilot. A site's edges, centre, rms and
 * spread; sums of x, of products (logits: squares) and by sequences, with 24 bytes each. */
static void esp_collect_add_cost_of_a_perceptrons_traffic(void **state) {
  (void)state;
  esp_model *model = cost_mlp_new(5, 7, 3);
  const esp_cost cost = cost_of(model, &plain, 2);
  assert_true(cost.traffic[ESP_GATHER] == 4.0 * 8.0 * (7.0 + 3.0) / 2.0);
  const double hidden = 7.0 * 32.0 + 2.0 * (56.0 + 24.0) + 8.0 * 28.0 + 24.0;
  const double logits = 3.0 * 32.0 + 3.0 * (24.0 + 24.0);
  assert_true(cost.traffic[ESP_ALLREDUCE] == hidden + logits);
  assert_true(cost.kept_bytes == 0.0);
  esp_model_free(&model);
}

static void esp_collect_add_cost_runs_the_pilot_once(void **state) {
  (void)state;
  esp_model *model = cost_mlp_new(5, 7, 3);
  esp_collect_options more = plain;
  more.pilot = 16;
  const esp_cost few = cost_of(model, &plain, 1), many = cost_of(model, &more, 1);
  assert_true(many.work.flops == few.work.flops && many.work.values > few.work.values);
  esp_model_free(&model);
}

static void esp_collect_add_cost_sends_nothing_alone(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_cost cost = cost_of(model, &plain, 1);
  assert_true(cost_sent(&cost) == 0.0 && cost.peak_bytes > 0.0);
  esp_model_free(&model);
}

static void esp_collect_add_cost_holds_less_on_more_ranks(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_cost two = cost_of(model, &plain, 2), four = cost_of(model, &plain, 4);
  assert_true(four.peak_bytes < two.peak_bytes);
  esp_model_free(&model);
}

static void esp_collect_add_cost_of_halves_doubles_the_sums(void **state) {
  (void)state;
  esp_model *model = cost_mlp_new(5, 7, 3);
  esp_collect_options halves = plain;
  halves.halves = true;
  const esp_cost one = cost_of(model, &plain, 2), two = cost_of(model, &halves, 2);
  const double sums = 2.0 * 80.0 + 248.0 + 3.0 * 48.0;
  assert_true(two.traffic[ESP_ALLREDUCE] - one.traffic[ESP_ALLREDUCE] == sums);
  assert_true(cost_is(two.work.flops, one.work.flops));
  esp_model_free(&model);
}

static void esp_collect_add_cost_chooses_logits_of_a_vocabulary(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_collect_options few = plain;
  few.top_units = 4;
  assert_int_equal(esp_collect_count_logits(model, &plain), 10);
  assert_int_equal(esp_collect_count_logits(model, &few), 4);
  const esp_cost all = cost_of(model, &plain, 1), some = cost_of(model, &few, 1);
  assert_true(cost_is(some.work.flops - all.work.flops, 32.0 * 2.0 * 8.0 * 4.0)); // once chosen
  esp_model_free(&model);
}

static void esp_collect_counts_whole_batches_of_fisher_rows(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_shard_shape samples = cost_samples_new(2, 4, 8, 1);
  const int64_t asked[] = {0, 1, 9, 1000}, rows[] = {0, 8, 16, 32};
  for (size_t i = 0; i < ESP_COUNT(asked); i++) {
    esp_collect_options options = plain;
    options.fisher_tokens = asked[i];
    assert_int_equal(esp_collect_count_fisher_rows(model, &options, &samples), rows[i]);
  }
  esp_shard_shape_clear(&samples);
  esp_model_free(&model);
}

static void esp_collect_add_cost_of_fisher_information(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_collect_options options = plain;
  options.fisher_tokens = 8;
  const esp_cost none = cost_of(model, &plain, 2), some = cost_of(model, &options, 2);
  const double sums = 2.0 * (8.0 * 36.0 + 24.0 + 8.0 * 8.0); // two stages of 8 outputs
  assert_true(some.traffic[ESP_ALLREDUCE] - none.traffic[ESP_ALLREDUCE] == sums);
  assert_true(some.work.flops > none.work.flops && some.peak_bytes >= none.peak_bytes);
  esp_model_free(&model);
}

static void esp_collect_file_bytes_are_its_sites(void **state) {
  (void)state;
  esp_model *model = cost_mlp_new(5, 7, 3);
  esp_shard_shape samples = cost_samples_new(2, 4, 8, 1);
  esp_stats_shape stats;
  esp_stats_shape_init(&stats, &samples, 4, false);
  const double sites =
      esp_stats_site_bytes(&stats, 7.0, true) + esp_stats_site_bytes(&stats, 3.0, false);
  assert_true(esp_collect_file_bytes(model, &plain, &samples) ==
              esp_stats_head_bytes(&stats) + sites + 8.0 * 3.0);
  esp_stats_shape_clear(&stats);
  esp_shard_shape_clear(&samples);
  esp_model_free(&model);
}

static void esp_collect_file_bytes_of_the_stream(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_shard_shape samples = cost_samples_new(2, 4, 8, 1);
  esp_collect_options width = plain;
  width.width = true;
  esp_stats_shape stats;
  esp_stats_shape_init(&stats, &samples, 4, false);
  const double more = 3.0 * esp_stats_site_bytes(&stats, 8.0, true) + 8.0; // readers; a cosine
  assert_true(cost_is(esp_collect_file_bytes(model, &width, &samples) -
                          esp_collect_file_bytes(model, &plain, &samples),
                      more));
  esp_stats_shape_clear(&stats);
  esp_shard_shape_clear(&samples);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_collect_add_cost_of_a_perceptrons_traffic),
              cmocka_unit_test(esp_collect_add_cost_runs_the_pilot_once),
              cmocka_unit_test(esp_collect_add_cost_sends_nothing_alone),
              cmocka_unit_test(esp_collect_add_cost_holds_less_on_more_ranks),
              cmocka_unit_test(esp_collect_add_cost_of_halves_doubles_the_sums),
              cmocka_unit_test(esp_collect_add_cost_chooses_logits_of_a_vocabulary),
              cmocka_unit_test(esp_collect_counts_whole_batches_of_fisher_rows),
              cmocka_unit_test(esp_collect_add_cost_of_fisher_information),
              cmocka_unit_test(esp_collect_file_bytes_are_its_sites),
              cmocka_unit_test(esp_collect_file_bytes_of_the_stream))
