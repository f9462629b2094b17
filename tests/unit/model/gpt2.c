#include "unit.h"

#include "transformer.h"

/* Hidden size 12, 3 heads of 4, 10 neurons, 2 layers, vocabulary 17, context 7. */
static json_t *config_with(const char *key, json_t *value) {
  json_t *config =
      json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", "gpt2", "n_embd", 12, "n_head",
                3, "n_inner", 10, "n_layer", 2, "vocab_size", 17, "n_positions", 7);
  if (key) json_object_set_new(config, key, value);
  return config;
}

static const int32_t tokens[14] = {3, 16, 0, 5, 5, 9, 1, 12, 2, 7, 11, 0, 4, 16};
static const esp_batch batch = {.kind = ESP_DATA_TOKENS, .count = 2, .width = 7, .tokens = tokens};

static void describe_gives_every_weight_its_place(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  assert_int_equal(model->n_weights, 2 + 2 * 12 + 2);
  transformer_check_weight(model, "transformer.wte.weight", ESP_STAGE_EMBED, 17, 12);
  transformer_check_weight(model, "transformer.wpe.weight", ESP_STAGE_EMBED, 7, 12);
  transformer_check_weight(model, "transformer.h.1.ln_1.bias", 2, 12, 0);
  transformer_check_weight(model, "transformer.h.1.attn.c_attn.weight", 2, 12, 36);
  transformer_check_weight(model, "transformer.h.1.attn.c_proj.weight", 2, 12, 12);
  transformer_check_weight(model, "transformer.h.0.ln_2.weight", 1, 12, 0);
  transformer_check_weight(model, "transformer.h.0.mlp.c_fc.weight", 1, 12, 10);
  transformer_check_weight(model, "transformer.h.0.mlp.c_proj.weight", 1, 10, 12);
  transformer_check_weight(model, "transformer.ln_f.weight", 4, 12, 0);
  esp_model_free(&model);
}

static void describe_gives_the_sizes_of_a_language_model(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  assert_int_equal(model->task, ESP_TASK_LANGUAGE);
  assert_true(model->n_inputs == 0 && model->max_length == 7 && model->vocabulary == 17);
  assert_true(model->n_outputs == 17 && model->max_state == 12 && model->max_features == 12);
  assert_true(model->is_head_tied);
  assert_string_equal(model->prefix, "transformer.");
  esp_model_free(&model);
}

static void describe_slices_the_fused_projection(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  const esp_stage *stage = &model->stages[2];
  assert_int_equal(model->n_stages, 4);
  transformer_check_stage(model, 2, "attention.1", 3, 4);
  assert_int_equal(stage->n_producers, 6);
  for (int part = 0; part < 3; part++) {
    const esp_slice *pair = &stage->producers[2 * part];
    transformer_check_slice(model, pair[0], "transformer.h.1.attn.c_attn.weight", 1, 12 * part);
    transformer_check_slice(model, pair[1], "transformer.h.1.attn.c_attn.bias", 0, 12 * part);
  }
  assert_int_equal(stage->n_consumers, 1);
  transformer_check_slice(model, stage->consumers[0], "transformer.h.1.attn.c_proj.weight", 0, 0);
  esp_model_free(&model);
}

static void describe_slices_the_feed_forward_part(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  const esp_stage *stage = &model->stages[1];
  transformer_check_stage(model, 1, "ffn.0", 10, 1);
  assert_int_equal(stage->n_producers, 2);
  transformer_check_slice(model, stage->producers[0], "transformer.h.0.mlp.c_fc.weight", 1, 0);
  transformer_check_slice(model, stage->producers[1], "transformer.h.0.mlp.c_fc.bias", 0, 0);
  assert_int_equal(stage->n_consumers, 1);
  transformer_check_slice(model, stage->consumers[0], "transformer.h.0.mlp.c_proj.weight", 0, 0);
  esp_model_free(&model);
}

static void describe_takes_four_times_the_hidden_size_without_n_inner(void **state) {
  (void)state;
  json_t *const configs[2] = {config_with("n_inner", json_null()), config_with(NULL, NULL)};
  json_object_del(configs[1], "n_inner");
  for (int i = 0; i < 2; i++) {
    esp_model *model = transformer_new(configs[i]);
    assert_int_equal(model->stages[1].units, 48);
    esp_model_free(&model);
  }
}

static void describe_gives_an_untied_head_its_own_weight(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with("tie_word_embeddings", json_false()));
  transformer_check_weight(model, "lm_head.weight", 4, 17, 12);
  assert_false(model->is_head_tied || model->family->ignores(model, "lm_head.weight"));
  esp_model_free(&model);
}

static void describe_refuses_variants_by_name(void **state) {
  (void)state;
  static const char *const flags[] = {"scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn",
                                      "add_cross_attention"};
  for (unsigned i = 0; i < ESP_COUNT(flags); i++) {
    transformer_check_refused(config_with(flags[i], json_true()), ESP_FORMAT, flags[i]);
    transformer_check_refused(config_with(flags[i], json_integer(1)), ESP_FORMAT, flags[i]);
  }
  transformer_check_refused(config_with("activation_function", json_string("prelu")), ESP_USAGE,
                            "'prelu'");
}

/* GPT-2 small. */
static void absent_members_have_the_defaults_of_transformers(void **state) {
  (void)state;
  esp_model *model = NULL;
  json_t *config = json_pack("{s:s}", "model_type", "gpt2");
  assert_int_equal(esp_model_new(config, &model), ESP_OK);
  json_decref(config);
  assert_int_equal(model->n_stages, 24);
  assert_int_equal(model->vocabulary, 50257);
  assert_int_equal(model->max_length, 1024);
  assert_int_equal(model->stages[0].units, 12);
  assert_int_equal(model->stages[0].width, 64);
  assert_int_equal(model->stages[1].units, 3072);
  assert_true(model->is_head_tied);
  esp_model_free(&model);
}

static void describe_refuses_sizes_that_cannot_be(void **state) {
  (void)state;
  transformer_check_refused(config_with("n_head", json_integer(5)), ESP_FORMAT, "to divide");
  transformer_check_refused(config_with("n_head", json_integer(0)), ESP_FORMAT, "n_head");
  transformer_check_refused(config_with("n_layer", json_integer(4097)), ESP_FORMAT, "4097");
  transformer_check_refused(config_with("n_inner", json_integer(-1)), ESP_FORMAT, "n_inner");
  transformer_check_refused(config_with("vocab_size", json_integer(1 << 25)), ESP_FORMAT, "vocab");
  transformer_check_refused(config_with("head_dim", json_integer(1 << 23)), ESP_FORMAT, "3 heads");
}

static void check_layers_refused(const char *layers, const char *part) {
  json_t *value = json_loads(layers, JSON_DECODE_ANY, NULL);
  transformer_check_refused(config_with("per_layer_config", value), ESP_FORMAT, part);
}

static void describe_refuses_layers_that_mean_nothing(void **state) {
  (void)state;
  check_layers_refused("[]", "object of layers");
  check_layers_refused("{\"2\": {\"n_inner\": 3}}", "found '2'");
  check_layers_refused("{\"-1\": {\"n_inner\": 3}}", "found '-1'");
  check_layers_refused("{\"01\": {\"n_inner\": 3}}", "found '01'");
  check_layers_refused("{\"1\": 3}", "layer 1");
  check_layers_refused("{\"1\": {\"n_embd\": 3}}", "'n_embd' for layer 1");
  check_layers_refused("{\"1\": {\"n_inner\": -1}}", "n_inner");
}

/* A configuration resized and read back. */
static esp_model *resize(const esp_model *model, const int64_t *units) {
  esp_model *resized = NULL;
  json_t *config = json_deep_copy(model->config);
  assert_int_equal(model->family->resize(model, units, config), ESP_OK);
  assert_int_equal(esp_model_new(config, &resized), ESP_OK);
  for (int s = 0; s < model->n_stages; s++) assert_int_equal(resized->stages[s].units, units[s]);
  assert_int_equal(resized->stages[0].width, 4);
  json_decref(config);
  return resized;
}

static void resize_keeps_the_size_of_a_head(void **state) {
  (void)state;
  const int64_t units[5] = {2, 7, 2, 7, 0}; // the width stays
  esp_model *model = transformer_new(config_with(NULL, NULL)), *smaller = resize(model, units);
  assert_null(json_object_get(smaller->config, "per_layer_config"));
  assert_int_equal(json_integer_value(json_object_get(smaller->config, "n_head")), 2);
  assert_int_equal(json_integer_value(json_object_get(smaller->config, "head_dim")), 4);
  assert_int_equal(json_integer_value(json_object_get(model->config, "n_head")), 3);
  transformer_check_weight(smaller, "transformer.h.1.attn.c_attn.weight", 2, 12, 24);
  transformer_check_slice(smaller, smaller->stages[2].producers[4],
                          "transformer.h.1.attn.c_attn.weight", 1, 16);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

/* The configuration's own sizes stay those of a layer that has units, or as they were. */
static void resize_says_which_layers_have_no_units(void **state) {
  (void)state;
  const int64_t units[5] = {0, 0, 2, 4, 0}, none[5] = {0, 0, 0, 0, 0};
  esp_model *model = transformer_new(config_with(NULL, NULL)), *half = resize(model, units);
  assert_int_equal(json_integer_value(json_object_get(half->config, "n_head")), 2);
  assert_int_equal(json_integer_value(json_object_get(half->config, "n_inner")), 4);
  assert_int_equal(half->stages[0].consumer.inputs, 0);
  transformer_check_weight(half, "transformer.h.0.mlp.c_proj.weight", 1, 0, 12);
  esp_model *empty = resize(half, none);
  assert_int_equal(json_integer_value(json_object_get(empty->config, "n_head")), 2);
  esp_model_free(&empty);
  esp_model_free(&half);
  esp_model_free(&model);
}

static void resize_says_sizes_that_differ_by_layer(void **state) {
  (void)state;
  const int64_t units[5] = {3, 9, 1, 4, 0}, even[5] = {3, 4, 3, 4, 0};
  esp_model *model = transformer_new(config_with(NULL, NULL)), *uneven = resize(model, units);
  const json_t *layers = json_object_get(uneven->config, "per_layer_config");
  assert_int_equal(json_object_size(layers), 1);
  assert_int_equal(json_object_size(json_object_get(layers, "1")), 2);
  esp_model *again = resize(uneven, even);
  assert_null(json_object_get(again->config, "per_layer_config"));
  assert_null(json_object_get(again->config, "head_dim")); // 3 heads of 4 are 12 again
  esp_model_free(&again);
  esp_model_free(&uneven);
  esp_model_free(&model);
}

static void init_shrinks_the_writers_of_the_stream(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with("n_embd", json_integer(120)));
  model->family->init(model, 1);
  double squares[2] = {0.0, 0.0};
  const char *const names[2] = {"transformer.h.0.attn.c_attn.weight",
                                "transformer.h.0.attn.c_proj.weight"};
  for (int k = 0; k < 2; k++) {
    const esp_weight *weight = &model->weights[transformer_find_weight(model, names[k])];
    const double n = (double)esp_weight_count(weight);
    for (int64_t i = 0; i < esp_weight_count(weight); i++)
      squares[k] += (double)weight->value[i] * (double)weight->value[i] / n;
  }
  assert_true(fabs(sqrt(squares[0]) - 0.02) < 5e-4 && fabs(sqrt(squares[1]) - 0.01) < 5e-4);
  assert_true(model->weights[transformer_find_weight(model, "transformer.ln_f.weight")].value[5] ==
              1.0f);
  assert_true(model->weights[transformer_find_weight(model, "transformer.ln_f.bias")].value[5] ==
              0.0f);
  esp_model_free(&model);
}

static double gelu_new(double z) {
  return 0.5 * z * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (z + 0.044715 * z * z * z)));
}

static double *normed(const esp_model *model, const char *layer, const char *norm,
                      const double *r) {
  char weight[32], bias[32];
  double *x = ESP_NEW(double, 7 * 12);
  snprintf(weight, sizeof weight, "%s.weight", norm);
  snprintf(bias, sizeof bias, "%s.bias", norm);
  memcpy(x, r, 7 * 12 * sizeof *x);
  naive_norm(model, layer, (const char *const[2]){weight, bias}, 1e-5, 7, x);
  return x;
}

static void naive_block(const esp_model *model, int l, double scale, double *r) {
  char layer[32];
  snprintf(layer, sizeof layer, "transformer.h.%d.", l);
  const int64_t heads = model->stages[2 * l].units, n = 4 * heads;
  double *x = normed(model, layer, "ln_1", r);
  double *qkv = naive_linear(model, layer, "attn.c_attn", false, x, 7);
  double *context = naive_attention(&(naive_heads){7, 7, heads, 4, true, scale},
                                    (const double *const[3]){qkv, qkv + n, qkv + 2 * n}, 3 * n);
  naive_add(7 * 12, r, naive_linear(model, layer, "attn.c_proj", false, context, 7));
  double *y = normed(model, layer, "ln_2", r);
  double *h = naive_linear(model, layer, "mlp.c_fc", false, y, 7);
  for (int64_t i = 0; i < 7 * model->stages[2 * l + 1].units; i++) h[i] = gelu_new(h[i]);
  naive_add(7 * 12, r, naive_linear(model, layer, "mlp.c_proj", false, h, 7));
  double *const all[] = {x, qkv, context, y, h};
  for (unsigned i = 0; i < ESP_COUNT(all); i++) esp_release(all[i]);
}

/* Largest difference of one sequence's logits from a naive pass in double precision. */
static double compare(const esp_model *model, const int32_t *ids, double scale,
                      const float *found) {
  double worst = 0.0, *wte = naive_weight(model, "transformer.", "wte.weight"),
         *wpe = naive_weight(model, "transformer.", "wpe.weight"), *r = ESP_NEW(double, 7 * 12);
  double *head = model->is_head_tied ? wte : naive_weight(model, "", "lm_head.weight");
  for (int i = 0; i < 7 * 12; i++) r[i] = wte[ids[i / 12] * 12 + i % 12] + wpe[i];
  for (int l = 0; l < 2; l++) naive_block(model, l, scale, r);
  double *x = normed(model, "transformer.", "ln_f", r);
  for (int i = 0; i < 7 * 17; i++) {
    double logit = 0.0;
    for (int j = 0; j < 12; j++) logit += x[i / 17 * 12 + j] * head[i % 17 * 12 + j];
    worst = fmax(worst, fabs(logit - (double)found[i]));
  }
  if (head != wte) esp_free(&head);
  double *const all[] = {wte, wpe, r, x};
  for (unsigned i = 0; i < ESP_COUNT(all); i++) esp_release(all[i]);
  return worst;
}

static void check_forward(json_t *config, double scale) {
  esp_model *model = transformer_new(config);
  float *logits = transformer_run(model, &batch);
  for (int i = 0; i < 2; i++)
    assert_true(compare(model, tokens + 7 * i, scale, logits + 7 * 17 * i) < 1e-5);
  esp_free(&logits);
  esp_model_free(&model);
}

static void forward_matches_naive_loops(void **state) {
  (void)state;
  check_forward(config_with(NULL, NULL), 0.5); // 1 / sqrt(4)
  check_forward(config_with("n_inner", json_null()), 0.5);
  check_forward(config_with("tie_word_embeddings", json_false()), 0.5);
  check_forward(config_with("scale_attn_weights", json_false()), 1.0);
}

static void forward_matches_naive_loops_of_uneven_layers(void **state) {
  (void)state;
  json_t *config =
      config_with("per_layer_config", json_pack("{s:{s:i, s:i}}", "1", "n_head", 2, "n_inner", 5));
  json_object_set_new(config, "head_dim", json_integer(4));
  check_forward(config, 0.5);
}

static void forward_never_looks_ahead(void **state) {
  (void)state;
  int32_t other[14];
  memcpy(other, tokens, sizeof other);
  other[5] = 2; // of the first sequence
  esp_batch changed = batch;
  changed.tokens = other;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  float *a = transformer_run(model, &batch), *b = transformer_run(model, &changed);
  assert_true(transformer_is_same(a, b, 0, 5 * 17));
  assert_false(transformer_is_same(a, b, 5 * 17, 6 * 17));
  assert_false(transformer_is_same(a, b, 6 * 17, 7 * 17));
  assert_true(transformer_is_same(a, b, 7 * 17, 14 * 17));
  esp_free(&a);
  esp_free(&b);
  esp_model_free(&model);
}

static void a_stage_knows_all_that_makes_and_reads_a_unit(void **state) {
  (void)state;
  for (int stage = 0; stage < 4; stage++) {
    esp_model *model = transformer_new(config_with(NULL, NULL));
    transformer_check_unit(model, stage, 1, &batch);
    esp_model_free(&model);
  }
}

static void ignores_only_masks_and_the_tied_copy(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  assert_true(model->family->ignores(model, "transformer.h.0.attn.bias"));
  assert_true(model->family->ignores(model, "h.11.attn.masked_bias"));
  assert_true(model->family->ignores(model, "lm_head.weight"));
  assert_false(model->family->ignores(model, "h.0.attn.c_attn.bias"));
  assert_false(model->family->ignores(model, "score.weight"));
  esp_model_free(&model);
}

/* Other row counts may take other products, whose sums round otherwise. */
static void prefill_gives_the_logits_of_the_last_tokens(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  static const int32_t lengths[2] = {7, 4};
  esp_batch ragged = batch;
  ragged.lengths = lengths;
  esp_pass whole, last;
  esp_pass_init(&whole, model, 14);
  esp_pass_init(&last, model, 14);
  esp_forward(model, &ragged, &whole);
  esp_forward_prefill(model, &ragged, &last);
  for (int i = 0; i < 2; i++)
    for (int v = 0; v < 17; v++)
      assert_float_equal(last.logits[17 * i + v], whole.logits[17 * (7 * i + lengths[i] - 1) + v],
                         1e-5f);
  esp_pass_clear(&whole);
  esp_pass_clear(&last);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(describe_gives_every_weight_its_place),
              cmocka_unit_test(describe_gives_the_sizes_of_a_language_model),
              cmocka_unit_test(describe_slices_the_fused_projection),
              cmocka_unit_test(describe_slices_the_feed_forward_part),
              cmocka_unit_test(describe_takes_four_times_the_hidden_size_without_n_inner),
              cmocka_unit_test(describe_gives_an_untied_head_its_own_weight),
              cmocka_unit_test(describe_refuses_variants_by_name),
              cmocka_unit_test(absent_members_have_the_defaults_of_transformers),
              cmocka_unit_test(describe_refuses_sizes_that_cannot_be),
              cmocka_unit_test(describe_refuses_layers_that_mean_nothing),
              cmocka_unit_test(resize_keeps_the_size_of_a_head),
              cmocka_unit_test(resize_says_which_layers_have_no_units),
              cmocka_unit_test(resize_says_sizes_that_differ_by_layer),
              cmocka_unit_test(init_shrinks_the_writers_of_the_stream),
              cmocka_unit_test(forward_matches_naive_loops),
              cmocka_unit_test(forward_matches_naive_loops_of_uneven_layers),
              cmocka_unit_test(forward_never_looks_ahead),
              cmocka_unit_test(prefill_gives_the_logits_of_the_last_tokens),
              cmocka_unit_test(a_stage_knows_all_that_makes_and_reads_a_unit),
              cmocka_unit_test(ignores_only_masks_and_the_tied_copy))
