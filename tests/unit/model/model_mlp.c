#include "unit.h"

#include "mlp.h"

static const int64_t sizes[4] = {5, 7, 6, 3};

static void check_weight(const esp_model *model, int index, const char *name, int64_t rows,
                         int64_t cols) {
  const esp_weight *weight = &model->weights[index];
  assert_string_equal(weight->name, name);
  assert_int_equal(weight->rank, cols ? 2 : 1);
  assert_int_equal(weight->shape[0], rows);
  if (cols) assert_int_equal(weight->shape[1], cols);
}

static void check_stage(const esp_model *model, int index, const char *name, int64_t units) {
  const esp_stage *stage = &model->stages[index];
  assert_string_equal(stage->name, name);
  assert_string_equal(stage->kind, "hidden");
  assert_int_equal(stage->units, units);
  assert_int_equal(stage->state_in, units);
  assert_false(stage->is_residual);
  assert_int_equal(stage->n_producers, 2);
  for (int i = 0; i < 2; i++) // rows of W and b of the layer below
    assert_true(stage->producers[i].weight == 2 * index + i && stage->producers[i].axis == 0);
  assert_int_equal(stage->n_consumers, 1);
  assert_true(stage->consumers[0].weight == 2 * index + 2 && stage->consumers[0].axis == 1);
}

static void esp_model_new_describes_a_perceptron(void **state) {
  (void)state;
  esp_model *model = mlp_new("relu", sizes, 4, 1);
  assert_int_equal(model->n_weights, 6);
  check_weight(model, 0, "layers.0.weight", 7, 5);
  check_weight(model, 1, "layers.0.bias", 7, 0);
  check_weight(model, 4, "layers.2.weight", 3, 6);
  check_weight(model, 5, "layers.2.bias", 3, 0);
  assert_int_equal(model->n_stages, 2);
  check_stage(model, 0, "hidden.0", 7);
  check_stage(model, 1, "hidden.1", 6);
  assert_true(model->n_inputs == 5 && model->n_outputs == 3);
  assert_true(model->max_state == 7 && model->max_features == 7);
  assert_int_equal(model->stages[1].consumer.outputs, 3);
  esp_model_free(&model);
  assert_null(model);
}

static void esp_model_counts_parameters_and_prunable_ones(void **state) {
  (void)state;
  esp_model *model = mlp_new("relu", sizes, 4, 1);
  assert_int_equal(esp_model_count_prunable(model), 5 * 7 + 7 * 6 + 6 * 3);
  assert_int_equal(esp_model_count_parameters(model), 5 * 7 + 7 * 6 + 6 * 3 + 7 + 6 + 3);
  esp_model_free(&model);
}

static void check_refused(json_t *config, esp_status code, const char *part) {
  esp_model *model = NULL;
  assert_failure(esp_model_new(config, &model), code, part);
  assert_null(model);
  json_decref(config);
}

static void esp_model_new_names_a_missing_key(void **state) {
  (void)state;
  static const char *const keys[] = {"model_type", "layer_sizes", "activation", "input_mean",
                                     "input_std"};
  for (unsigned i = 0; i < ESP_COUNT(keys); i++) {
    json_t *config = mlp_config("relu", sizes, 4);
    json_object_del(config, keys[i]);
    check_refused(config, ESP_FORMAT, keys[i]);
  }
}

static void check_member(const char *key, json_t *value, esp_status code, const char *part) {
  json_t *config = mlp_config("relu", sizes, 4);
  json_object_set_new(config, key, value);
  check_refused(config, code, part);
}

static void esp_model_new_refuses_bad_layer_sizes(void **state) {
  (void)state;
  check_member("layer_sizes", json_integer(5), ESP_FORMAT, "found 0");
  check_member("layer_sizes", json_pack("[i,i]", 5, 3), ESP_FORMAT, "found 2");
  check_member("layer_sizes", json_pack("[i,i,i]", 5, 0, 3), ESP_FORMAT, "found 0 as number 1");
  check_member("layer_sizes", json_pack("[i,i,i]", 5, 4, -3), ESP_FORMAT, "found -3 as number 2");
  check_member("layer_sizes", json_pack("[i,i,i]", (1 << 24) + 1, 4, 3), ESP_FORMAT, "16777217");
  check_member("layer_sizes", json_pack("[i,s,i]", 5, "4", 3), ESP_FORMAT, "number 1");
  check_member("layer_sizes", json_pack("[i,f,i]", 5, 4.5, 3), ESP_FORMAT, "number 1");
}

static void esp_model_new_refuses_members_of_another_type(void **state) {
  (void)state;
  check_member("model_type", json_integer(3), ESP_FORMAT, "found 3");
  check_member("activation", json_null(), ESP_FORMAT, "found null");
  check_member("input_mean", json_string("0"), ESP_FORMAT, "found \"0\"");
  check_member("input_std", json_real(0.0), ESP_FORMAT, "input_std > 0");
  check_member("input_std", json_real(-1.0), ESP_FORMAT, "input_std > 0");
}

static void esp_model_new_names_the_known_families_and_activations(void **state) {
  (void)state;
  check_member("model_type", json_string("mpl"), ESP_FORMAT, "mlp");
  check_member("model_type", json_string("mpl"), ESP_FORMAT, "'mpl'");
  check_member("activation", json_string("prelu"), ESP_USAGE, "sigmoid");
}

static void resize_changes_a_copy_of_the_configuration(void **state) {
  (void)state;
  const int64_t units[2] = {2, 4};
  esp_model *model = mlp_new("tanh", sizes, 4, 1), *smaller = NULL;
  json_t *config = json_deep_copy(model->config);
  assert_int_equal(model->family->resize(model, units, config), ESP_OK);
  assert_int_equal(esp_model_new(config, &smaller), ESP_OK);
  check_weight(smaller, 0, "layers.0.weight", 2, 5);
  check_weight(smaller, 2, "layers.1.weight", 4, 2);
  check_weight(smaller, 4, "layers.2.weight", 3, 4);
  assert_string_equal(json_string_value(json_object_get(config, "activation")), "tanh");
  assert_int_equal(
      json_integer_value(json_array_get(json_object_get(model->config, "layer_sizes"), 1)), 7);
  json_decref(config);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

static void init_scales_by_fan_in_and_zeroes_biases(void **state) {
  (void)state;
  const int64_t wide[3] = {50, 200, 10};
  esp_model *model = mlp_new("relu", wide, 3, 1);
  esp_model_own_all(model);
  model->family->init(model, 1);
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < 10000; i++) {
    const double w = (double)model->weights[0].value[i];
    sum += w, squares += w * w;
  }
  assert_true(fabs(sum / 10000) < 0.01 && fabs(squares / 10000 - 2.0 / 50) < 0.003);
  for (int i = 0; i < 200; i++) assert_true(model->weights[1].value[i] == 0.0f);
  esp_model_free(&model);
}

static void init_is_a_function_of_the_seed(void **state) {
  (void)state;
  esp_model *a = mlp_new("relu", sizes, 4, 1), *same = mlp_new("relu", sizes, 4, 1),
            *other = mlp_new("relu", sizes, 4, 2);
  for (int w = 0; w < a->n_weights; w++) {
    const size_t bytes = (size_t)esp_weight_count(&a->weights[w]) * sizeof(float);
    assert_memory_equal(a->weights[w].value, same->weights[w].value, bytes);
    assert_memory_not_equal(a->weights[w].value, other->weights[w].value, bytes);
  }
  esp_model_free(&a);
  esp_model_free(&same);
  esp_model_free(&other);
}

/* Worked by hand: (p - 0.25) / 0.5 = (0, 1); z = (2.5, -3); relu; logits 2 * 2.5 + 1, -2.5. */
static void esp_forward_is_right_by_hand(void **state) {
  (void)state;
  static const int64_t small[3] = {2, 2, 2};
  static const float values[4][4] = {{1, 2, 3, -4}, {0.5f, 1}, {2, 7, -1, 1}, {1, 0}};
  const float pixels[2] = {0.25f, 0.75f};
  const esp_batch batch = {.kind = ESP_DATA_IMAGES, .count = 1, .width = 2, .pixels = pixels};
  esp_model *model = mlp_new("relu", small, 3, 1);
  for (int w = 0; w < 4; w++)
    memcpy(model->weights[w].value, values[w],
           (size_t)esp_weight_count(&model->weights[w]) * sizeof(float));
  esp_pass pass;
  esp_pass_init(&pass, model, 1);
  esp_forward(model, &batch, &pass);
  assert_true(pass.logits[0] == 6.0f && pass.logits[1] == -2.5f);
  esp_pass_clear(&pass);
  esp_model_free(&model);
}

typedef struct net_case {
  const char *activation;
  naive_function f;
  const int64_t *sizes;
  int n;
  int64_t count;
} net_case;

static void check_forward(const net_case *test) {
  double logits[16];
  const int64_t outputs = test->sizes[test->n - 1];
  esp_model *model = mlp_new(test->activation, test->sizes, test->n, 7);
  naive_net net = naive_new(model, test->sizes, test->n, test->f);
  const esp_batch batch = mlp_batch(test->count, test->sizes[0], 8);
  esp_pass pass;
  esp_pass_init(&pass, model, test->count);
  esp_forward(model, &batch, &pass);
  for (int64_t r = 0; r < test->count; r++) {
    naive_forward(&net, batch.pixels + r * test->sizes[0], logits);
    for (int64_t c = 0; c < outputs; c++)
      assert_true(fabs((double)pass.logits[r * outputs + c] - logits[c]) < 2e-5);
  }
  esp_pass_clear(&pass);
  esp_free(&net.parameters);
  esp_release((void *)(uintptr_t)batch.pixels);
  esp_model_free(&model);
}

static void esp_forward_matches_naive_loops(void **state) {
  (void)state;
  check_forward(&(net_case){"relu", naive_relu, sizes, 4, 1});
  check_forward(&(net_case){"relu", naive_relu, sizes, 4, 13});
  check_forward(&(net_case){"gelu", naive_gelu, sizes, 4, 13});
  check_forward(&(net_case){"tanh", tanh, sizes, 4, 13});
  check_forward(&(net_case){"sigmoid", naive_sigmoid, sizes, 4, 13});
}

static void esp_forward_matches_naive_loops_beyond_one_tile(void **state) {
  (void)state;
  static const int64_t wide[3] = {9, 301, 11}, thin[5] = {1, 1, 1, 1, 1};
  check_forward(&(net_case){"gelu", naive_gelu, wide, 3, 131});
  check_forward(&(net_case){"tanh", tanh, thin, 5, 3});
}

static void esp_forward_of_no_samples_does_nothing(void **state) {
  (void)state;
  check_forward(&(net_case){"relu", naive_relu, sizes, 4, 0});
}

ESP_TEST_MAIN(cmocka_unit_test(esp_model_new_describes_a_perceptron),
              cmocka_unit_test(esp_model_counts_parameters_and_prunable_ones),
              cmocka_unit_test(esp_model_new_names_a_missing_key),
              cmocka_unit_test(esp_model_new_refuses_bad_layer_sizes),
              cmocka_unit_test(esp_model_new_refuses_members_of_another_type),
              cmocka_unit_test(esp_model_new_names_the_known_families_and_activations),
              cmocka_unit_test(resize_changes_a_copy_of_the_configuration),
              cmocka_unit_test(init_scales_by_fan_in_and_zeroes_biases),
              cmocka_unit_test(init_is_a_function_of_the_seed),
              cmocka_unit_test(esp_forward_is_right_by_hand),
              cmocka_unit_test(esp_forward_matches_naive_loops),
              cmocka_unit_test(esp_forward_matches_naive_loops_beyond_one_tile),
              cmocka_unit_test(esp_forward_of_no_samples_does_nothing))
