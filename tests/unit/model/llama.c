#include "unit.h"

#include "transformer.h"

#include <omp.h>

static const char plain[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 12, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 6, \"num_key_value_heads\": 2, \"head_dim\": 4,"
    " \"intermediate_size\": 10, \"vocab_size\": 11, \"max_position_embeddings\": 64}";

/* The plain configuration with members replaced, and "absent" ones taken out. */
static json_t *make_config(const char *changes, const char *absent) {
  json_t *config = json_loads(plain, 0, NULL), *change = json_loads(changes, 0, NULL);
  assert_non_null(change);
  json_object_update(config, change);
  if (absent) json_object_del(config, absent);
  json_decref(change);
  return config;
}

static esp_model *make_model(const char *changes, const char *absent) {
  esp_model *model = NULL;
  json_t *config = make_config(changes, absent);
  if (esp_model_new(config, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  json_decref(config);
  return model;
}

static bool has_weight(const esp_model *model, const char *name) {
  for (int i = 0; i < model->n_weights; i++)
    if (strcmp(model->weights[i].name, name) == 0) return true;
  return false;
}

static void describe_gives_every_weight_its_place(void **state) {
  (void)state;
  esp_model *model = make_model("{}", NULL);
  assert_int_equal(model->n_weights, 1 + 2 * 9 + 2);
  transformer_check_weight(model, "model.embed_tokens.weight", ESP_STAGE_EMBED, 11, 12);
  transformer_check_weight(model, "model.layers.1.input_layernorm.weight", 2, 12, 0);
  transformer_check_weight(model, "model.layers.1.self_attn.q_proj.weight", 2, 24, 12);
  transformer_check_weight(model, "model.layers.1.self_attn.k_proj.weight", 2, 8, 12);
  transformer_check_weight(model, "model.layers.1.self_attn.o_proj.weight", 2, 12, 24);
  transformer_check_weight(model, "model.layers.0.mlp.gate_proj.weight", 1, 10, 12);
  transformer_check_weight(model, "model.layers.1.mlp.down_proj.weight", 3, 12, 10);
  transformer_check_weight(model, "model.layers.0.post_attention_layernorm.weight", 1, 12, 0);
  transformer_check_weight(model, "model.norm.weight", 4, 12, 0);
  transformer_check_weight(model, "lm_head.weight", 4, 11, 12);
  esp_model_free(&model);
}

static void describe_gives_the_sizes_of_a_language_model(void **state) {
  (void)state;
  esp_model *model = make_model("{}", NULL);
  assert_int_equal(model->n_stages, 4);
  assert_int_equal(model->task, ESP_TASK_LANGUAGE);
  assert_int_equal(model->max_length, 64);
  assert_int_equal(model->vocabulary, 11);
  esp_model_free(&model);
}

static void describe_groups_heads_that_share_keys(void **state) {
  (void)state;
  esp_model *model = make_model("{}", NULL);
  const esp_stage *stage = &model->stages[2];
  assert_string_equal(stage->name, "attention.1");
  assert_int_equal(stage->units, 6);
  assert_int_equal(stage->width, 4);
  assert_int_equal(stage->per_group, 3);
  assert_int_equal(stage->n_producers, 1);
  assert_int_equal(stage->n_shared, 2);
  assert_string_equal(model->weights[stage->shared[1].weight].name,
                      "model.layers.1.self_attn.v_proj.weight");
  assert_int_equal(stage->shared[1].width, 4);
  esp_model_free(&model);
}

static void describe_without_groups_makes_keys_producers(void **state) {
  (void)state;
  esp_model *model = make_model("{\"num_key_value_heads\": 6, \"attention_bias\": true}", NULL);
  const esp_stage *stage = &model->stages[0];
  assert_int_equal(stage->per_group, 1);
  assert_int_equal(stage->n_producers, 6);
  assert_int_equal(stage->n_shared, 0);
  esp_model_free(&model);
}

static void describe_gives_gate_and_up_to_neurons(void **state) {
  (void)state;
  esp_model *model = make_model("{\"mlp_bias\": true}", NULL);
  const esp_stage *stage = &model->stages[3];
  assert_string_equal(stage->name, "ffn.1");
  assert_int_equal(stage->units, 10);
  assert_int_equal(stage->n_producers, 4);
  assert_true(stage->is_residual);
  assert_int_equal(stage->consumer.inputs, 10);
  assert_true(has_weight(model, "model.layers.1.mlp.down_proj.bias"));
  esp_model_free(&model);
}

static void tied_head_has_no_weight_of_its_own(void **state) {
  (void)state;
  esp_model *model = make_model("{\"tie_word_embeddings\": true}", NULL);
  assert_true(model->is_head_tied);
  assert_false(has_weight(model, "lm_head.weight"));
  assert_true(model->family->ignores(model, "lm_head.weight"));
  esp_model_free(&model);
}

static void ignores_only_buffers_when_the_head_is_untied(void **state) {
  (void)state;
  esp_model *model = make_model("{}", NULL);
  assert_true(model->family->ignores(model, "model.layers.0.self_attn.rotary_emb.inv_freq"));
  assert_false(model->family->ignores(model, "lm_head.weight"));
  assert_false(model->family->ignores(model, "score.weight"));
  esp_model_free(&model);
}

static void types_have_their_own_biases_and_norms(void **state) {
  (void)state;
  static const char key_bias[] = "model.layers.0.self_attn.k_proj.bias";
  static const char output_bias[] = "model.layers.0.self_attn.o_proj.bias";
  static const struct {
    const char *changes;
    bool key, output, norms;
  } cases[] = {
      {"{\"model_type\": \"llama\"}", false, false, false},
      {"{\"model_type\": \"llama\", \"attention_bias\": true}", true, true, false},
      {"{\"model_type\": \"mistral\", \"attention_bias\": true}", false, false, false},
      {"{\"model_type\": \"qwen2\"}", true, false, false},
      {"{\"model_type\": \"qwen3\"}", false, false, true},
      {"{\"model_type\": \"qwen3\", \"attention_bias\": true}", true, true, true},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    esp_model *model = make_model(cases[i].changes, NULL);
    assert_int_equal(has_weight(model, key_bias), cases[i].key);
    assert_int_equal(has_weight(model, output_bias), cases[i].output);
    assert_int_equal(has_weight(model, "model.layers.0.self_attn.q_norm.weight"), cases[i].norms);
    esp_model_free(&model);
  }
}

static void absent_members_have_the_defaults_of_transformers(void **state) {
  (void)state;
  esp_model *model = make_model("{}", "head_dim"); // 12 / 6
  assert_int_equal(model->stages[0].width, 2);
  esp_model_free(&model);
  model = make_model("{}", "num_key_value_heads");
  assert_int_equal(model->stages[0].per_group, 1);
  esp_model_free(&model);
  model = make_model("{\"model_type\": \"qwen3\"}", "head_dim");
  assert_int_equal(model->stages[0].width, 128);
  esp_model_free(&model);
  model = make_model("{\"model_type\": \"mistral\", \"num_attention_heads\": 16}",
                     "num_key_value_heads");
  assert_int_equal(model->stages[0].per_group, 2);
  esp_model_free(&model);
  model = make_model("{}", "max_position_embeddings");
  assert_int_equal(model->max_length, 2048);
  esp_model_free(&model);
  model = make_model("{\"model_type\": \"mistral\", \"intermediate_size\": null}", "vocab_size");
  assert_int_equal(model->vocabulary, 32000);
  assert_int_equal(model->stages[1].units, 14336);
  esp_model_free(&model);
  model = make_model("{\"model_type\": \"qwen2\", \"num_attention_heads\": 32}", "hidden_size");
  assert_int_equal(model->stages[1].state_in, 4096);
  esp_model_free(&model);
}

static void describe_refuses_what_it_does_not_do(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\"num_key_value_heads\": 4}",
       "num_attention_heads to be a multiple of num_key_value_heads, found 6 and 4"},
      {"{\"head_dim\": null, \"hidden_size\": 13}", "num_attention_heads"},
      {"{\"head_dim\": 3}", "even head_dim"},
      {"{\"quantization_config\": {}}", "quantization_config"},
      {"{\"partial_rotary_factor\": 0.5}", "1.0 for 'partial_rotary_factor', found 0.5"},
      {"{\"rope_parameters\": {\"sliding_attention\": {\"rope_type\": \"default\"}}}",
       "layers of type 'sliding_attention'"},
      {"{\"model_type\": \"mistral\", \"sliding_window\": 0}", "'sliding_window'"},
      {"{\"model_type\": \"qwen2\", \"use_sliding_window\": 1}", "'use_sliding_window'"},
      {"{\"layer_types\": [\"full_attention\", \"sliding_attention\"]}",
       "'sliding_attention' for layer 1, and no sliding_window that counts"},
      {"{\"model_type\": \"qwen2\", \"use_sliding_window\": true,"
       " \"layer_types\": [\"sliding_attention\", \"chunked_attention\"]}",
       "'chunked_attention' for layer 1"},
      {"{\"model_type\": \"mistral\", \"layer_types\": [\"full_attention\"]}", "2 layer_types"},
      {"{\"rope_scaling\": {\"type\": \"mrope\"}}", "'mrope'"},
      {"{\"per_layer_config\": {\"1\": {\"skip\": [\"mlp\"]}}}", "'skip'"},
      {"{\"per_layer_config\": {\"2\": {}}}", "'2'"},
      {"{\"per_layer_config\": {\"1\": {\"num_attention_heads\": 5}}}", "found 5 and 2 in layer 1"},
      {"{\"per_layer_config\": {\"1\": {\"num_attention_heads\": 0}}}", "found 0 and 2 in layer 1"},
      {"{\"intermediate_size\": 0}", "intermediate_size"},
      {"{\"hidden_size\": 0}", "'hidden_size'"},
      {"{\"num_hidden_layers\": 1000000}", "'num_hidden_layers'"},
      {"{\"tie_word_embeddings\": 1}", "'tie_word_embeddings'"},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++)
    transformer_check_refused(make_config(cases[i][0], NULL), ESP_FORMAT, cases[i][1]);
}

static void assert_windows(const char *changes, int64_t first, int64_t second) {
  esp_model *model = make_model(changes, NULL);
  assert_int_equal(model->stages[0].window, first);
  assert_int_equal(model->stages[1].window, 0);
  assert_int_equal(model->stages[2].window, second);
  esp_model_free(&model);
}

static void windows_are_where_the_configuration_puts_them(void **state) {
  (void)state;
  assert_windows("{\"sliding_window\": 8}", 0, 0); // llama has none
  assert_windows("{\"model_type\": \"mistral\", \"sliding_window\": 63}", 63, 63);
  assert_windows("{\"model_type\": \"mistral\", \"sliding_window\": 64}", 0, 0); // of 64 positions
  assert_windows("{\"model_type\": \"mistral\", \"sliding_window\": null}", 0, 0);
  assert_windows("{\"model_type\": \"mistral\", \"max_position_embeddings\": 8192}", 4096, 4096);
  assert_windows("{\"model_type\": \"mistral\", \"sliding_window\": 9,"
                 " \"layer_types\": [\"attention\", \"sliding_attention\"]}",
                 0, 9);
  assert_windows("{\"model_type\": \"qwen2\", \"sliding_window\": 8}", 0, 0);
  assert_windows("{\"model_type\": \"qwen3\", \"use_sliding_window\": true, \"sliding_window\": 8}",
                 0, 0); // from layer 28 on
  assert_windows("{\"model_type\": \"qwen2\", \"use_sliding_window\": true,"
                 " \"max_window_layers\": 1, \"sliding_window\": 8}",
                 0, 8);
  assert_windows("{\"model_type\": \"qwen2\", \"use_sliding_window\": true, \"sliding_window\": 8,"
                 " \"max_window_layers\": 0, \"layer_types\": [\"full_attention\","
                 " \"sliding_attention\"]}",
                 0, 8);
}

static json_t *keep_one(const char *changes, int64_t layer) {
  esp_model *model = make_model(changes, NULL);
  json_t *config = json_deep_copy(model->config);
  esp_config_keep_layers(model, &layer, 1, config);
  esp_model_free(&model);
  return config;
}

static void fewer_layers_keep_their_windows(void **state) {
  (void)state;
  static const char upper[] = "{\"model_type\": \"qwen2\", \"use_sliding_window\": true,"
                              " \"max_window_layers\": 1, \"sliding_window\": 8}";
  static const char listed[] =
      "{\"model_type\": \"mistral\", \"sliding_window\": 8, \"layer_types\":"
      " [\"full_attention\", \"sliding_attention\"]}";
  for (int64_t layer = 0; layer < 2; layer++)
    for (int i = 0; i < 2; i++) {
      esp_model *model = NULL;
      json_t *config = keep_one(i == 0 ? upper : listed, layer);
      assert_int_equal(esp_model_new(config, &model), ESP_OK);
      assert_int_equal(model->stages[0].window, layer == 1 ? 8 : 0);
      esp_model_free(&model);
      json_decref(config);
    }
}

/* Windows that are not asked for leave their members as they are. */
static void fewer_layers_leave_unused_members(void **state) {
  (void)state;
  json_t *config = keep_one("{\"model_type\": \"qwen2\", \"max_window_layers\": 2}", 1);
  assert_int_equal(json_integer_value(json_object_get(config, "max_window_layers")), 2);
  json_decref(config);
}

/* The longest sequence of a dynamic rotary embedding is not said. */
static void dynamic_positions_have_no_end(void **state) {
  (void)state;
  esp_model *model = make_model("{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}", NULL);
  assert_int_equal(model->max_length, 0);
  esp_model_free(&model);
}

/* The model of `model`'s configuration after resize. */
static esp_model *resized(const esp_model *model, const int64_t *units) {
  esp_model *smaller = NULL;
  json_t *config = json_deep_copy(model->config);
  assert_int_equal(model->family->resize(model, units, config), ESP_OK);
  if (esp_model_new(config, &smaller) != ESP_OK) fail_msg("%s", esp_failure_text());
  json_decref(config);
  return smaller;
}

static int64_t get_size(const esp_model *model, const char *key) {
  return json_integer_value(json_object_get(model->config, key));
}

static void resize_of_heads_keeps_groups_and_head_size(void **state) {
  (void)state;
  const int64_t units[5] = {4, 7, 4, 7};
  esp_model *model = make_model("{}", "head_dim"), *smaller = resized(model, units);
  assert_int_equal(get_size(smaller, "num_attention_heads"), 4);
  assert_int_equal(get_size(smaller, "num_key_value_heads"), 2);
  assert_int_equal(get_size(smaller, "head_dim"), 2);
  assert_int_equal(get_size(smaller, "intermediate_size"), 7);
  assert_null(json_object_get(smaller->config, "per_layer_config"));
  assert_int_equal(smaller->stages[0].per_group, 2);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

static void resize_of_merged_groups_takes_their_keys_along(void **state) {
  (void)state;
  const int64_t units[5] = {1, 10, 1, 10};
  esp_model *model = make_model("{}", NULL);
  for (int i = 0; i < 4; i++) esp_stage_merge_groups(&model->stages[i]);
  assert_int_equal(model->stages[0].units, 2);
  assert_int_equal(model->stages[0].n_producers, 3);
  esp_model *smaller = resized(model, units);
  assert_int_equal(get_size(smaller, "num_attention_heads"), 3);
  assert_int_equal(get_size(smaller, "num_key_value_heads"), 1);
  transformer_check_weight(smaller, "model.layers.0.self_attn.k_proj.weight", 0, 4, 12);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

static void resize_takes_the_width_last(void **state) {
  (void)state;
  const int64_t units[5] = {6, 10, 6, 10, 9};
  esp_model *model = make_model("{}", "head_dim"), *smaller = resized(model, units);
  transformer_check_weight(smaller, "model.embed_tokens.weight", ESP_STAGE_EMBED, 11, 9);
  // heads stay 2 wide
  transformer_check_weight(smaller, "model.layers.1.self_attn.q_proj.weight", 2, 12, 9);
  transformer_check_weight(smaller, "model.norm.weight", 4, 9, 0);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

static const char *get_type(const esp_model *model) {
  return json_string_value(json_object_get(model->config, "model_type"));
}

static void resize_names_what_transformers_can_load(void **state) {
  (void)state;
  const int64_t divides[5] = {4, 10, 4, 10, 12}, does_not[5] = {6, 10, 6, 10, 9};
  esp_model *model = make_model("{}", "head_dim");
  esp_model *llama = resized(model, divides), *mistral = resized(model, does_not);
  assert_string_equal(get_type(llama), "llama");
  assert_string_equal(get_type(mistral), "mistral");
  assert_string_equal(mistral->family->name, "mistral");
  assert_true(json_is_null(json_object_get(mistral->config, "sliding_window")));
  esp_model_free(&mistral);
  esp_model_free(&llama);
  esp_model_free(&model);
}

/* The head's class, and the default that Mistral has otherwise, go along; names that Mistral does
 * not have keep a model what it is. */
static void resize_renames_other_heads_too(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"LlamaModel", "MistralModel"},
      {"LlamaForSequenceClassification", "MistralForSequenceClassification"},
      {"SomeClass", "MistralForCausalLM"},
      {"LlamaForQuestionAnswering", "LlamaForQuestionAnswering"},
  };
  const int64_t units[5] = {6, 10, 6, 10, 9};
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    char *changes = esp_format("{\"architectures\": [\"%s\"]}", cases[i][0]);
    esp_model *model = make_model(changes, "max_position_embeddings");
    esp_model *smaller = resized(model, units);
    const json_t *names = json_object_get(smaller->config, "architectures");
    assert_string_equal(json_string_value(json_array_get(names, 0)), cases[i][1]);
    assert_int_equal(smaller->max_length, 2048);
    assert_string_equal(smaller->weights[1].name, model->weights[1].name);
    esp_model_free(&smaller);
    esp_model_free(&model);
    esp_free(&changes);
  }
}

static void resize_writes_what_layers_differ_in(void **state) {
  (void)state;
  const int64_t units[5] = {6, 9, 2, 5}, again[5] = {2, 5, 2, 5};
  esp_model *model = make_model("{}", NULL), *smaller = resized(model, units);
  transformer_check_weight(smaller, "model.layers.0.self_attn.q_proj.weight", 0, 24, 12);
  transformer_check_weight(smaller, "model.layers.1.self_attn.q_proj.weight", 2, 8, 12);
  transformer_check_weight(smaller, "model.layers.1.mlp.up_proj.weight", 3, 5, 12);
  assert_int_equal(smaller->stages[2].per_group, 1);
  const json_t *layers = json_object_get(smaller->config, "per_layer_config");
  assert_int_equal(json_object_size(layers), 1);
  assert_int_equal(json_object_size(json_object_get(layers, "1")), 2);
  esp_model *even = resized(smaller, again); // uniform again
  assert_null(json_object_get(even->config, "per_layer_config"));
  esp_model_free(&even);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

/* Without query heads a layer has no KV heads either; groups are as before elsewhere. */
static void resize_takes_kv_heads_with_the_last_head(void **state) {
  (void)state;
  const int64_t units[5] = {0, 9, 4, 0};
  esp_model *model = make_model("{}", NULL), *smaller = resized(model, units);
  transformer_check_weight(smaller, "model.layers.0.self_attn.q_proj.weight", 0, 0, 12);
  transformer_check_weight(smaller, "model.layers.0.self_attn.k_proj.weight", 0, 0, 12);
  transformer_check_weight(smaller, "model.layers.1.self_attn.k_proj.weight", 2, 8, 12);
  assert_int_equal(smaller->stages[3].consumer.inputs, 0);
  assert_int_equal(smaller->stages[0].units, 0);
  assert_int_equal(smaller->stages[0].per_group, 1);
  assert_int_equal(smaller->stages[2].per_group, 2);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

enum { COUNT = 2, LENGTH = 9 };

static float *run(const esp_model *model, const int32_t *lengths) {
  int32_t tokens[COUNT * LENGTH];
  for (int i = 0; i < COUNT * LENGTH; i++)
    tokens[i] = (int32_t)(esp_rng_uniform(4, 0, (uint64_t)i) * 11);
  return transformer_run(model, &(esp_batch){.kind = ESP_DATA_TOKENS,
                                             .count = COUNT,
                                             .width = LENGTH,
                                             .tokens = tokens,
                                             .lengths = lengths});
}

/* Column j of a weight with `columns` becomes 0. */
static void clear_columns(esp_weight *weight, int64_t begin, int64_t end) {
  for (int64_t r = 0; r < weight->shape[0]; r++)
    for (int64_t j = begin; j < end; j++) weight->value[r * weight->shape[1] + j] = 0.0f;
}

/* Copy the first rows and columns. */
static void copy_corner(const esp_weight *from, esp_weight *to) {
  const int64_t columns = to->rank == 2 ? to->shape[1] : 1,
                stride = from->rank == 2 ? from->shape[1] : 1;
  for (int64_t r = 0; r < to->shape[0]; r++)
    memcpy(to->value + r * columns, from->value + r * stride, (size_t)columns * sizeof(float));
}

static void forward_of_fewer_groups_and_neurons_is_that_of_silent_ones(void **state) {
  (void)state;
  const int64_t units[5] = {1, 6, 1, 6}; // the first KV head's group of 3; the first 6 neurons
  esp_model *model =
      transformer_new(make_config("{\"mlp_bias\": true, \"attention_bias\": true}", NULL));
  for (int i = 0; i < 4; i++) esp_stage_merge_groups(&model->stages[i]);
  esp_model *smaller = resized(model, units);
  esp_model_own_all(smaller);
  for (int w = 0; w < model->n_weights; w++) copy_corner(&model->weights[w], &smaller->weights[w]);
  for (int s = 0; s < 4; s++)
    clear_columns(&model->weights[model->stages[s].consumer.weight], s % 2 ? 6 : 12,
                  s % 2 ? 10 : 24);
  float *expected = run(model, NULL), *found = run(smaller, NULL);
  for (int i = 0; i < COUNT * LENGTH * 11; i++) assert_float_equal(found[i], expected[i], 2e-5f);
  esp_free(&found);
  esp_free(&expected);
  esp_model_free(&smaller);
  esp_model_free(&model);
}

static void forward_does_not_depend_on_threads(void **state) {
  (void)state;
  esp_model *model = transformer_new(make_config("{\"model_type\": \"qwen3\"}", NULL));
  omp_set_num_threads(1);
  float *one = run(model, NULL);
  omp_set_num_threads(2);
  float *two = run(model, NULL);
  assert_memory_equal(one, two, COUNT * LENGTH * 11 * sizeof(float));
  esp_free(&two);
  esp_free(&one);
  esp_model_free(&model);
}

static void forward_of_a_prefix_does_not_see_what_follows(void **state) {
  (void)state;
  const int32_t lengths[COUNT] = {4, LENGTH};
  esp_model *model = transformer_new(make_config("{}", NULL));
  float *whole = run(model, NULL), *padded = run(model, lengths);
  for (int i = 0; i < 4 * 11; i++) assert_float_equal(padded[i], whole[i], 1e-5f);
  esp_free(&padded);
  esp_free(&whole);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(describe_gives_every_weight_its_place),
              cmocka_unit_test(describe_gives_the_sizes_of_a_language_model),
              cmocka_unit_test(describe_groups_heads_that_share_keys),
              cmocka_unit_test(describe_without_groups_makes_keys_producers),
              cmocka_unit_test(describe_gives_gate_and_up_to_neurons),
              cmocka_unit_test(tied_head_has_no_weight_of_its_own),
              cmocka_unit_test(ignores_only_buffers_when_the_head_is_untied),
              cmocka_unit_test(types_have_their_own_biases_and_norms),
              cmocka_unit_test(absent_members_have_the_defaults_of_transformers),
              cmocka_unit_test(describe_refuses_what_it_does_not_do),
              cmocka_unit_test(windows_are_where_the_configuration_puts_them),
              cmocka_unit_test(fewer_layers_keep_their_windows),
              cmocka_unit_test(fewer_layers_leave_unused_members),
              cmocka_unit_test(dynamic_positions_have_no_end),
              cmocka_unit_test(resize_of_heads_keeps_groups_and_head_size),
              cmocka_unit_test(resize_of_merged_groups_takes_their_keys_along),
              cmocka_unit_test(resize_takes_the_width_last),
              cmocka_unit_test(resize_names_what_transformers_can_load),
              cmocka_unit_test(resize_renames_other_heads_too),
              cmocka_unit_test(resize_takes_kv_heads_with_the_last_head),
              cmocka_unit_test(resize_writes_what_layers_differ_in),
              cmocka_unit_test(forward_of_fewer_groups_and_neurons_is_that_of_silent_ones),
              cmocka_unit_test(forward_does_not_depend_on_threads),
              cmocka_unit_test(forward_of_a_prefix_does_not_see_what_follows))
