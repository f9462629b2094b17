#include "unit.h"

#include "cost.h"

#include "espalier/eval/cost.h"
#include "espalier/flow/chunk.h"
#include "espalier/model/cost.h"

static const esp_eval_shape ten_rows = {
    .ranks = 1, .kind = ESP_DATA_TOKENS, .tokens = 5, .rows = 10.0};

static esp_cost cost_of(const esp_model *model, esp_eval_shape shape) {
  esp_cost cost = {0};
  esp_eval_add_quality_cost(model, &shape, &cost);
  return cost;
}

/* States of 10 rows of 8, beside the attention with what it makes of them. */
static void esp_eval_add_quality_cost_of_a_small_llama(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  const esp_cost cost = cost_of(model, ten_rows);
  const double states = 4.0 * 80.0;
  const double attention = 4.0 * 200.0 + 4.0 * 80.0 + esp_stage_scratch_bytes(model, 0, 10.0);
  assert_true(cost.peak_bytes == states + attention && cost.kept_bytes == 0.0);
  assert_true(cost.work.flops == 10.0 * 2.0 * (192.0 + 144.0 + 80.0));
  esp_model_free(&model);
}

/* The head with its logits, and what it reads, as normalised. */
static void esp_eval_add_quality_cost_of_a_large_head(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  model->n_outputs = 1000;
  const double head = esp_model_loaded_bytes(model, model->n_stages) + 4.0 * 10.0 * 1008.0;
  assert_true(cost_of(model, ten_rows).peak_bytes == 4.0 * 80.0 + head);
  esp_model_free(&model);
}

static void esp_eval_add_quality_cost_of_nothing(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_eval_shape none = ten_rows;
  none.rows = 0.0;
  const esp_cost cost = cost_of(model, none);
  assert_true(cost.work.flops == 0.0 && cost.peak_bytes == esp_model_loaded_bytes(model, 0));
  esp_model_free(&model);
}

static void esp_eval_add_quality_cost_bounds_the_states(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_eval_shape many = ten_rows;
  many.rows = 1e9;
  assert_true(cost_of(model, many).peak_bytes < 1.1 * ESP_CHUNK_STATE_BYTES);
  esp_model_free(&model);
}

static void esp_eval_add_quality_cost_shares_states(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_eval_shape shape = ten_rows;
  shape.rows = 1e5;
  const double alone = cost_of(model, shape).peak_bytes;
  shape.ranks = 4;
  assert_true(cost_of(model, shape).peak_bytes < alone);
  esp_model_free(&model);
}

static void esp_eval_add_speed_cost_loads_all(void **state) {
  (void)state;
  esp_model *model = cost_llama_new(8, 6, false);
  esp_cost cost = {0};
  esp_eval_add_speed_cost(model, 3.0, &cost);
  assert_true(cost.peak_bytes == esp_model_all_bytes(model) + 4.0 * 3.0 * (8.0 + 8.0 + 10.0));
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_eval_add_quality_cost_of_a_small_llama),
              cmocka_unit_test(esp_eval_add_quality_cost_of_a_large_head),
              cmocka_unit_test(esp_eval_add_quality_cost_of_nothing),
              cmocka_unit_test(esp_eval_add_quality_cost_bounds_the_states),
              cmocka_unit_test(esp_eval_add_quality_cost_shares_states),
              cmocka_unit_test(esp_eval_add_speed_cost_loads_all))
