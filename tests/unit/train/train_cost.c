#include "unit.h"

#include "cost.h"

#include "espalier/io/cost.h"
#include "espalier/model/cost.h"
#include "espalier/train/cost.h"

/* 20 sequences of 5 tokens for a llama of 10 tokens; two a micro-batch, every fifth of which is
 * held out; four micro-batches a step. */
static int32_t tokens[100];
static const esp_dataset text = {.path = (char *)(uintptr_t) "text",
                                 .kind = ESP_DATA_TOKENS,
                                 .count = 20,
                                 .width = 5,
                                 .tokens = tokens};

static esp_train_options new_options(const esp_model *model, const char *trainable) {
  esp_train_options options;
  esp_train_options_init(&options);
  options.micro_batch = 2;
  options.batch = 8;
  options.hold_out = 5;
  options.steps = 3;
  options.evaluate_every = 2;
  options.trainable = esp_strdup(trainable);
  esp_train_options_resolve(&options, ESP_TRAIN_GIVEN, model, &text);
  return options;
}

static esp_train_cost cost_of(esp_model *model, esp_model *teacher, int ranks,
                              const char *trainable) {
  esp_train_options options = new_options(model, trainable);
  const esp_train_request request = {
      .model = model, .teacher = teacher, .data = &text, .options = &options};
  esp_train_cost cost;
  const esp_status status = esp_train_compute_cost(&request, ranks, &cost);
  assert_int_equal(status, ESP_OK);
  esp_train_options_clear(&options);
  return cost;
}

/* Of 10 micro-batches two are held out, so 16 samples train. Measured before, after two steps, and
 * after the last. */
static void esp_train_compute_cost_counts_steps(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_train_sizes sizes = cost_of(model, NULL, 3, "all").sizes;
  assert_int_equal(sizes.samples, 16);
  assert_int_equal(sizes.held_out, 4);
  assert_int_equal(sizes.rows, 80);
  assert_int_equal(sizes.micro_batches, 4);
  assert_int_equal(sizes.share, 2);
  assert_int_equal(sizes.steps, 3);
  assert_int_equal(sizes.evaluations, 3);
  assert_int_equal(sizes.trainable, 520);
  esp_model_free(&model);
}

/* 520 values, all in blocks of rank 0; the mean, two slots, and the best; the attention, 200, of a
 * micro-batch and in sums; states before two stages and the head, and a gradient, of four
 * micro-batches; the logits of 10 rows. */
static void esp_train_compute_cost_holds_what_the_engine_holds(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_train_cost cost = cost_of(model, NULL, 1, "all");
  const double values = 4.0 * 520.0, own = 4.0 * 520.0 * 4.0, sums = 200.0 * (4.0 + 8.0);
  const double states = 4.0 * 4.0 * (10.0 * 8.0) * 4.0, logits = 4.0 * 10.0 * 10.0;
  const double orders = 8.0 * (20.0 + 16.0 + 4.0);
  assert_true(cost.values_bytes == values);
  assert_true(cost_is(cost.steps.kept_bytes, values + own + sums + states + logits + orders));
  assert_true(cost_is(cost.checkpoint_bytes, 4.0 * (4.0 * 520.0 + ESP_H5_OBJECT_BYTES)));
  esp_model_free(&model);
}

/* Norms, 8 of each stage and the head: nothing but these has values of its own. */
static void esp_train_compute_cost_of_norms_alone(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_train_cost norms = cost_of(model, NULL, 1, "norms");
  const esp_train_cost all = cost_of(model, NULL, 1, "all");
  assert_true(norms.values_bytes == 4.0 * 24.0 && norms.sizes.trainable == 24);
  assert_true(norms.steps.kept_bytes < all.steps.kept_bytes);
  assert_true(norms.steps.work.flops < all.steps.work.flops);
  esp_model_free(&model);
}

/* 520 values in 8 bytes reduced and in 4 gathered by every rank, three times; the norms' blocks,
 * one a group, and the tally. Three evaluations keep the exact weights apart, and the best come
 * back. */
static void esp_train_compute_cost_sends_sums_and_parts(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_train_cost two = cost_of(model, NULL, 2, "all"), one = cost_of(model, NULL, 1, "all");
  assert_true(two.steps.traffic[ESP_REDUCE_SCATTER] == 3.0 * 8.0 * 520.0);
  assert_true(two.steps.traffic[ESP_ALLGATHER] == 3.0 * 4.0 * 520.0 / 2.0);
  assert_true(two.steps.traffic[ESP_ALLREDUCE] == 3.0 * (4.0 * 8.0 + 32.0));
  assert_true(two.evaluations.traffic[ESP_ALLGATHER] == 4.0 * 4.0 * 520.0 / 2.0);
  assert_true(two.evaluations.traffic[ESP_ALLREDUCE] == 3.0 * (32.0 + 2.0 * 16.0));
  assert_true(cost_sent(&one.steps) == 0.0 && cost_sent(&one.evaluations) == 0.0);
  esp_model_free(&model);
}

/* 24 samples in three steps, 16 an epoch: of 5 rows, forward, back, and for gradients; the inside
 * of a stage twice. */
static void esp_train_compute_cost_multiplies(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_train_cost cost = cost_of(model, NULL, 1, "all");
  const double inside = 128.0 + 96.0, all = 192.0 + 144.0, head = 80.0;
  assert_true(cost_is(cost.steps.work.flops, 24.0 * 5.0 * 2.0 * (3.0 * all + inside + 3.0 * head)));
  assert_true(cost_is(cost.evaluations.work.flops, 3.0 * 20.0 * 2.0 * (all + head)));
  esp_model_free(&model);
}

/* Another forward pass of each row, its states, and logits to compare with. */
static void esp_train_compute_cost_of_a_teacher(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false), *teacher = cost_llama_new(8, 6, false);
  const esp_train_cost taught = cost_of(model, teacher, 1, "all");
  const esp_train_cost alone = cost_of(model, NULL, 1, "all");
  const double forward = 24.0 * 5.0 * 2.0 * (192.0 + 144.0 + 80.0);
  assert_true(cost_is(taught.steps.work.flops - alone.steps.work.flops, forward));
  assert_true(
      cost_is(taught.steps.kept_bytes - alone.steps.kept_bytes, 4.0 * 4.0 * 80.0 + 4.0 * 100.0));
  assert_true(taught.evaluations.work.flops == alone.evaluations.work.flops);
  esp_model_free(&teacher);
  esp_model_free(&model);
}

/* Room for the states of one micro-batch alone: four passes a step, of which each sums all
 * gradients; their total is held. */
static void esp_train_compute_cost_of_several_passes(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_train_options options = new_options(model, "all");
  esp_train_request request = {.model = model, .data = &text, .options = &options};
  esp_train_cost one, four;
  assert_int_equal(esp_train_compute_cost(&request, 1, &one), ESP_OK);
  request.state_bytes = 1;
  assert_int_equal(esp_train_compute_cost(&request, 1, &four), ESP_OK);
  assert_true(one.steps.kept_bytes - four.steps.kept_bytes ==
              3.0 * (model->n_stages + 2) * 4.0 * 10.0 * (double)model->max_state - 8.0 * 520.0);
  assert_int_equal(esp_train_compute_cost(&request, 2, &four), ESP_OK);
  assert_true(four.steps.traffic[ESP_REDUCE_SCATTER] == 2.0 * 3.0 * 8.0 * 520.0);
  esp_train_options_clear(&options);
  esp_model_free(&model);
}

static void esp_train_compute_cost_refuses_what_training_would(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_train_options options = new_options(model, "nothing");
  const esp_train_request request = {.model = model, .data = &text, .options = &options};
  esp_train_cost cost;
  const esp_status status = esp_train_compute_cost(&request, 2, &cost);
  assert_int_equal(status, ESP_USAGE);
  esp_train_options_clear(&options);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_train_compute_cost_counts_steps),
              cmocka_unit_test(esp_train_compute_cost_holds_what_the_engine_holds),
              cmocka_unit_test(esp_train_compute_cost_of_norms_alone),
              cmocka_unit_test(esp_train_compute_cost_sends_sums_and_parts),
              cmocka_unit_test(esp_train_compute_cost_multiplies),
              cmocka_unit_test(esp_train_compute_cost_of_a_teacher),
              cmocka_unit_test(esp_train_compute_cost_of_several_passes),
              cmocka_unit_test(esp_train_compute_cost_refuses_what_training_would))
