#include "unit.h"

#include "cost.h"

#include "espalier/model/cost.h"

/* Hidden size 8: queries (8, 8), keys and values (4, 8), output (8, 8) and a norm; gate, up and
 * down (6, 8) and a norm. */
static void esp_model_loaded_bytes_are_floats(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  assert_true(esp_model_loaded_bytes(model, ESP_STAGE_EMBED) == 4.0 * 80.0);
  assert_true(esp_model_loaded_bytes(model, 0) == 4.0 * (64.0 + 32.0 + 32.0 + 64.0 + 8.0));
  assert_true(esp_model_loaded_bytes(model, 1) == 4.0 * (3.0 * 48.0 + 8.0));
  assert_true(esp_model_loaded_bytes(model, 2) == 4.0 * (80.0 + 8.0));
  assert_true(esp_model_all_bytes(model) == 4.0 * (80.0 + 200.0 + 152.0 + 88.0));
  esp_model_free(&model);
}

static void esp_model_loaded_bytes_of_a_tied_head(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, true);
  assert_true(esp_model_loaded_bytes(model, 2) == 4.0 * (80.0 + 8.0));
  esp_model_free(&model);
}

static void esp_model_loaded_bytes_leave_out_what_is_read_in_place(void **state) {
  (void)state;
  esp_model *model = cost_mlp_new(5, 7, 3);
  assert_true(esp_model_all_bytes(model) == 0.0);
  model->weights[2].mask = ESP_NEW(uint8_t, 3); // (3, 7), of the hidden stage's consumer
  assert_true(esp_model_loaded_bytes(model, 0) == 4.0 * 21.0);
  esp_model_free(&model);
}

static void esp_stage_scratch_bytes_are_what_is_no_state(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false), *mlp = cost_mlp_new(5, 7, 3);
  assert_true(esp_stage_scratch_bytes(model, 0, 3.0) == 4.0 * 3.0 * (8.0 + 16.0 - 8.0));
  assert_true(esp_stage_scratch_bytes(model, 1, 3.0) == 4.0 * 3.0 * (8.0 + 12.0 - 6.0));
  assert_true(esp_stage_scratch_bytes(mlp, 0, 3.0) == 0.0);
  esp_model_free(&mlp);
  esp_model_free(&model);
}

static void esp_stage_add_forward_work_multiplies_matrices(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_work attention = {0}, neurons = {0};
  esp_stage_add_forward_work(model, 0, 10.0, 5.0, &attention);
  esp_stage_add_forward_work(model, 1, 10.0, 5.0, &neurons);
  assert_true(attention.flops == 10.0 * 2.0 * 192.0 && attention.values == 10.0 * 2.0 * 5.0);
  assert_true(neurons.flops == 10.0 * 2.0 * 144.0 && neurons.values == 10.0 * 6.0);
  esp_model_free(&model);
}

/* Queries, keys and values again, (16, 8), and gradients through these and the output. */
static void esp_stage_add_backward_work_makes_the_inside_once(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_work back = {0}, remade = {0};
  esp_stage_add_backward_work(model, 0, 10.0, 5.0, &back);
  esp_stage_add_remake_work(model, 0, 10.0, 5.0, &remade);
  assert_true(back.flops == 10.0 * 2.0 * (128.0 + 192.0) && back.values == 2.0 * 10.0 * 10.0);
  assert_true(remade.flops == 0.0 && remade.values == 0.0);
  esp_model_free(&model);
}

/* The activation of 7 neurons again, and gradients through the (3, 7) above it. */
static void esp_stage_add_backward_work_of_a_perceptron(void **state) {
  (void)state;
  esp_model *model = cost_mlp_new(5, 7, 3);
  esp_work back = {0}, remade = {0};
  esp_stage_add_backward_work(model, 0, 10.0, 1.0, &back);
  esp_stage_add_remake_work(model, 0, 10.0, 1.0, &remade);
  assert_true(back.flops == 10.0 * 2.0 * 21.0 && back.values == 70.0);
  assert_true(remade.flops == 0.0 && remade.values == 70.0);
  esp_model_free(&model);
}

static void esp_stage_add_forward_work_follows_the_window(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_work narrow = {0}, whole = {0};
  model->stages[0].window = 36;
  esp_stage_add_forward_work(model, 0, 10.0, 1000.0, &narrow);
  esp_stage_add_forward_work(model, 0, 10.0, 50.0, &whole);
  assert_true(narrow.values == 10.0 * 2.0 * 100.0 && whole.values == 10.0 * 2.0 * 50.0);
  esp_model_free(&model);
}

static void esp_head_add_work_of_every_logit(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_work work = {0};
  esp_head_add_work(model, 3.0, &work);
  assert_true(work.flops == 3.0 * 2.0 * 8.0 * 10.0);
  esp_model_free(&model);
}

static void esp_model_add_write_cost_holds_a_copied_weight_at_a_time(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_cost cost = {0}, whole = {0}, trained = {0};
  esp_model_add_write_cost(model, 2, false, &whole);
  assert_true(whole.peak_bytes == 0.0); // from the mapping
  esp_model_add_write_cost(model, 2, true, &trained);
  assert_true(trained.peak_bytes == 2.0 * 80.0 / 2.0);
  for (int i = 0; i < model->n_weights; i++) model->weights[i].is_final = true;
  esp_model_add_write_cost(model, 2, false, &cost);
  assert_true(cost.peak_bytes == 2.0 * 80.0 / 2.0 && cost.kept_bytes == 0.0);
  assert_true(cost.work.datasets == (double)model->n_weights);
  assert_true(cost.work.values == 520.0 && cost.work.bytes == 2.0 * 520.0 / 2.0);
  esp_model_free(&model);
}

static void esp_model_file_bytes_are_in_the_weights_type(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const double half = esp_model_file_bytes(model);
  for (int i = 0; i < model->n_weights; i++) model->weights[i].type = ESP_F32;
  assert_true(esp_model_file_bytes(model) - half == 2.0 * 520.0);
  esp_model_free(&model);
}

static void esp_model_add_open_cost_tells_every_rank_of_the_weights(void **state) {
  (void)state;
  esp_model *small = cost_mlp_new(5, 7, 3), *large = cost_llama_new(8, 6, false);
  esp_cost few = {0}, many = {0}, alone = {0};
  esp_model_add_open_cost(small, 2, &few);
  esp_model_add_open_cost(large, 2, &many);
  esp_model_add_open_cost(large, 1, &alone);
  assert_true(many.traffic[ESP_BCAST] > few.traffic[ESP_BCAST] && few.traffic[ESP_BCAST] > 0.0);
  assert_true(alone.traffic[ESP_BCAST] == 0.0);
  esp_model_free(&small);
  esp_model_free(&large);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_model_loaded_bytes_are_floats),
              cmocka_unit_test(esp_model_loaded_bytes_of_a_tied_head),
              cmocka_unit_test(esp_model_loaded_bytes_leave_out_what_is_read_in_place),
              cmocka_unit_test(esp_stage_scratch_bytes_are_what_is_no_state),
              cmocka_unit_test(esp_stage_add_forward_work_multiplies_matrices),
              cmocka_unit_test(esp_stage_add_backward_work_makes_the_inside_once),
              cmocka_unit_test(esp_stage_add_backward_work_of_a_perceptron),
              cmocka_unit_test(esp_stage_add_forward_work_follows_the_window),
              cmocka_unit_test(esp_head_add_work_of_every_logit),
              cmocka_unit_test(esp_model_add_write_cost_holds_a_copied_weight_at_a_time),
              cmocka_unit_test(esp_model_file_bytes_are_in_the_weights_type),
              cmocka_unit_test(esp_model_add_open_cost_tells_every_rank_of_the_weights))
