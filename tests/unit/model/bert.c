#include "unit.h"

#include "transformer.h"

/* Hidden size 8, 2 heads of 4, 6 neurons, 2 layers, vocabulary 11, context 5, 2 token types. */
static json_t *config_with(const char *key, json_t *value) {
  json_t *config =
      json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", "bert", "hidden_size", 8,
                "num_attention_heads", 2, "intermediate_size", 6, "num_hidden_layers", 2,
                "vocab_size", 11, "max_position_embeddings", 5, "type_vocab_size", 2);
  if (key) json_object_set_new(config, key, value);
  return config;
}

static json_t *config_of(const char *architecture) {
  return config_with("architectures", json_pack("[s]", architecture));
}

enum { SEQUENCES = 3, T = 5, D = 8 };
static const char classifier[] = "BertForSequenceClassification", masked[] = "BertForMaskedLM";
static const int32_t tokens[SEQUENCES * T] = {3, 10, 0, 5, 5, 9, 1, 2, 7, 8, 0, 4, 6, 6, 1};
static const int32_t types[SEQUENCES * T] = {0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0};
static const int32_t lengths[SEQUENCES] = {5, 1, 3};
static const esp_batch batch = {.kind = ESP_DATA_TOKENS,
                                .count = SEQUENCES,
                                .width = T,
                                .tokens = tokens,
                                .types = types,
                                .lengths = lengths};

static void describe_gives_every_weight_its_place(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_of("BertModel"));
  assert_int_equal(model->n_weights, 5 + 2 * 16 + 2);
  transformer_check_weight(model, "bert.embeddings.position_embeddings.weight", ESP_STAGE_EMBED, 5,
                           8);
  transformer_check_weight(model, "bert.embeddings.token_type_embeddings.weight", ESP_STAGE_EMBED,
                           2, 8);
  transformer_check_weight(model, "bert.embeddings.LayerNorm.bias", ESP_STAGE_EMBED, 8, 0);
  transformer_check_weight(model, "bert.encoder.layer.1.attention.self.key.weight", 2, 8, 8);
  transformer_check_weight(model, "bert.encoder.layer.1.attention.output.dense.weight", 2, 8, 8);
  transformer_check_weight(model, "bert.encoder.layer.1.attention.output.LayerNorm.weight", 2, 8,
                           0);
  transformer_check_weight(model, "bert.encoder.layer.0.intermediate.dense.weight", 1, 6, 8);
  transformer_check_weight(model, "bert.encoder.layer.0.output.dense.weight", 1, 8, 6);
  transformer_check_weight(model, "bert.encoder.layer.0.output.LayerNorm.bias", 1, 8, 0);
  transformer_check_weight(model, "bert.pooler.dense.weight", 4, 8, 8);
  esp_model_free(&model);
}

static void check_task(json_t *config, esp_task task, int64_t outputs, bool is_tied) {
  esp_model *model = transformer_new(config);
  assert_true(model->task == task && model->n_outputs == outputs && model->is_head_tied == is_tied);
  assert_true(model->n_inputs == 0 && model->max_length == 5 && model->vocabulary == 11);
  assert_true(model->token_types == 2 && model->max_state == 8 && model->max_features == 8);
  esp_model_free(&model);
}

static void describe_finds_the_task_by_the_architecture(void **state) {
  (void)state;
  check_task(config_with(NULL, NULL), ESP_TASK_EMBED, 8, false);
  check_task(config_of("BertModel"), ESP_TASK_EMBED, 8, false);
  check_task(config_of("SomeSentenceEncoder"), ESP_TASK_EMBED, 8, false);
  check_task(config_of(classifier), ESP_TASK_CLASSIFY, 2, false);
  check_task(config_of(masked), ESP_TASK_MASKED, 11, true);
}

static void describe_counts_classes_as_transformers_does(void **state) {
  (void)state;
  json_t *config = config_of(classifier);
  json_object_set_new(config, "num_labels", json_integer(4));
  check_task(json_incref(config), ESP_TASK_CLASSIFY, 4, false);
  json_object_set_new(config, "id2label", json_pack("{s:s,s:s,s:s}", "0", "a", "1", "b", "2", "c"));
  check_task(config, ESP_TASK_CLASSIFY, 3, false);
}

static void describe_slices_attention(void **state) {
  (void)state;
  static const char *const names[3] = {"query", "key", "value"};
  char name[96];
  esp_model *model = transformer_new(config_with(NULL, NULL));
  const esp_stage *stage = &model->stages[2];
  transformer_check_stage(model, 2, "attention.1", 2, 4);
  assert_true(model->n_stages == 4 && stage->n_producers == 6 && stage->n_consumers == 1);
  for (int i = 0; i < 6; i++) {
    snprintf(name, sizeof name, "bert.encoder.layer.1.attention.self.%s.%s", names[i / 2],
             i % 2 ? "bias" : "weight");
    transformer_check_slice(model, stage->producers[i], name, 0, 0);
  }
  transformer_check_slice(model, stage->consumers[0],
                          "bert.encoder.layer.1.attention.output.dense.weight", 1, 0);
  esp_model_free(&model);
}

static void describe_slices_the_feed_forward_part(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  const esp_stage *stage = &model->stages[1];
  transformer_check_stage(model, 1, "ffn.0", 6, 1);
  assert_true(stage->n_producers == 2 && stage->n_consumers == 1);
  transformer_check_slice(model, stage->producers[0],
                          "bert.encoder.layer.0.intermediate.dense.weight", 0, 0);
  transformer_check_slice(model, stage->producers[1],
                          "bert.encoder.layer.0.intermediate.dense.bias", 0, 0);
  transformer_check_slice(model, stage->consumers[0], "bert.encoder.layer.0.output.dense.weight", 1,
                          0);
  esp_model_free(&model);
}

static void describe_leaves_out_a_pooler_that_is_not_there(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_with("add_pooling_layer", json_false()));
  assert_int_equal(model->n_weights, 5 + 2 * 16);
  esp_model_free(&model);
}

static void describe_refuses_variants_by_name(void **state) {
  (void)state;
  transformer_check_refused(config_with("is_decoder", json_true()), ESP_FORMAT, "is_decoder");
  transformer_check_refused(config_with("add_cross_attention", json_true()), ESP_FORMAT,
                            "add_cross_attention");
  transformer_check_refused(config_with("position_embedding_type", json_string("relative_key")),
                            ESP_FORMAT, "relative_key");
  transformer_check_refused(config_with("hidden_act", json_string("prelu")), ESP_USAGE, "'prelu'");
}

static void describe_refuses_heads_it_does_not_know(void **state) {
  (void)state;
  static const char *const unknown[] = {"BertForMultipleChoice", "BertForPreTraining",
                                        "BertLMHeadModel"};
  for (unsigned i = 0; i < ESP_COUNT(unknown); i++)
    transformer_check_refused(config_of(unknown[i]), ESP_FORMAT, unknown[i]);
}

/* BERT base. */
static void absent_members_have_the_defaults_of_transformers(void **state) {
  (void)state;
  esp_model *model = NULL;
  json_t *config = json_pack("{s:s}", "model_type", "bert");
  assert_int_equal(esp_model_new(config, &model), ESP_OK);
  json_decref(config);
  assert_int_equal(model->n_stages, 24);
  assert_int_equal(model->vocabulary, 30522);
  assert_int_equal(model->max_length, 512);
  assert_int_equal(model->token_types, 2);
  assert_int_equal(model->stages[0].units, 12);
  assert_int_equal(model->stages[0].width, 64);
  assert_int_equal(model->stages[1].units, 3072);
  esp_model_free(&model);
}

static void resize_says_sizes_that_differ_by_layer(void **state) {
  (void)state;
  const int64_t units[5] = {1, 4, 2, 4, 0}; // the width stays
  esp_model *model = transformer_new(config_of(masked)), *resized = NULL;
  json_t *config = json_deep_copy(model->config);
  assert_int_equal(model->family->resize(model, units, config), ESP_OK);
  assert_int_equal(esp_model_new(config, &resized), ESP_OK);
  for (int s = 0; s < 4; s++) assert_int_equal(resized->stages[s].units, units[s]);
  assert_int_equal(resized->stages[0].width, 4);
  const json_t *layers = json_object_get(config, "per_layer_config");
  assert_int_equal(json_object_size(layers), 1);
  assert_int_equal(json_object_size(json_object_get(layers, "1")), 1); // its neurons are the usual
  transformer_check_weight(resized, "bert.encoder.layer.0.attention.self.query.weight", 0, 4, 8);
  json_decref(config);
  esp_model_free(&resized);
  esp_model_free(&model);
}

static void naive_layer_norm(const esp_model *model, const char *layer, const char *part,
                             int64_t rows, double *x) {
  char names[2][64];
  snprintf(names[0], sizeof names[0], "%sLayerNorm.weight", part);
  snprintf(names[1], sizeof names[1], "%sLayerNorm.bias", part);
  naive_norm(model, layer, (const char *const[2]){names[0], names[1]}, 1e-12, rows, x);
}

static double gelu(double z) {
  return 0.5 * z * erfc(-z / sqrt(2.0));
}

static void naive_block(const esp_model *model, int l, int64_t valid, double *r) {
  char layer[32];
  snprintf(layer, sizeof layer, "bert.encoder.layer.%d.", l);
  const int64_t heads = model->stages[2 * l].units, n = 4 * heads;
  double *q = naive_linear(model, layer, "attention.self.query", true, r, T);
  double *k = naive_linear(model, layer, "attention.self.key", true, r, T);
  double *v = naive_linear(model, layer, "attention.self.value", true, r, T);
  double *context = naive_attention(&(naive_heads){T, valid, heads, 4, false, 0.5},
                                    (const double *const[3]){q, k, v}, n);
  naive_add(T * D, r, naive_linear(model, layer, "attention.output.dense", true, context, T));
  naive_layer_norm(model, layer, "attention.output.", T, r);
  double *h = naive_linear(model, layer, "intermediate.dense", true, r, T);
  for (int64_t i = 0; i < T * model->stages[2 * l + 1].units; i++) h[i] = gelu(h[i]);
  naive_add(T * D, r, naive_linear(model, layer, "output.dense", true, h, T));
  naive_layer_norm(model, layer, "output.", T, r);
  double *const all[] = {q, k, v, context, h};
  for (unsigned i = 0; i < ESP_COUNT(all); i++) esp_release(all[i]);
}

/* The final states (T, D) of sequence s; owned by the caller. */
static double *naive_states(const esp_model *model, int s) {
  static const char embeddings[] = "bert.embeddings.";
  double *word = naive_weight(model, embeddings, "word_embeddings.weight");
  double *type = naive_weight(model, embeddings, "token_type_embeddings.weight");
  double *r = naive_weight(model, embeddings, "position_embeddings.weight");
  for (int i = 0; i < T * D; i++)
    r[i] += word[tokens[s * T + i / D] * D + i % D] + type[types[s * T + i / D] * D + i % D];
  naive_layer_norm(model, embeddings, "", T, r);
  for (int l = 0; l < 2; l++) naive_block(model, l, lengths[s], r);
  esp_free(&word);
  esp_free(&type);
  return r;
}

static double distance(int64_t n, const double *expected, const float *found) {
  double worst = 0.0;
  for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs(expected[i] - (double)found[i]));
  return worst;
}

static void check_embedding(json_t *config) {
  esp_model *model = transformer_new(config);
  float *found = transformer_run(model, &batch);
  for (int s = 0; s < SEQUENCES; s++) {
    double *expected = naive_states(model, s);
    assert_true(distance(T * D, expected, found + s * T * D) < 1e-5);
    esp_free(&expected);
  }
  esp_free(&found);
  esp_model_free(&model);
}

static void forward_of_an_encoder_matches_naive_loops(void **state) {
  (void)state;
  check_embedding(config_with(NULL, NULL));
  json_t *config =
      config_with("per_layer_config", json_pack("{s:{s:i, s:i}}", "1", "num_attention_heads", 1,
                                                "intermediate_size", 3));
  json_object_set_new(config, "head_dim", json_integer(4));
  check_embedding(config);
}

static void forward_of_a_classifier_pools_the_first_token(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_of(classifier));
  float *found = transformer_run(model, &batch);
  for (int s = 0; s < SEQUENCES; s++) {
    double *r = naive_states(model, s);
    double *pooled = naive_linear(model, "bert.", "pooler.dense", true, r, 1);
    for (int j = 0; j < D; j++) pooled[j] = tanh(pooled[j]);
    double *expected = naive_linear(model, "", "classifier", true, pooled, 1);
    assert_true(distance(2, expected, found + 2 * s) < 1e-5);
    esp_free(&r);
    esp_free(&pooled);
    esp_free(&expected);
  }
  esp_free(&found);
  esp_model_free(&model);
}

/* The rows that the decoder multiplies: norm(gelu(T r + t)). */
static double *naive_transform(const esp_model *model, const double *r) {
  static const char transform[] = "cls.predictions.transform.";
  double *x = naive_linear(model, transform, "dense", true, r, T);
  for (int i = 0; i < T * D; i++) x[i] = gelu(x[i]);
  naive_layer_norm(model, transform, "", T, x);
  return x;
}

static void forward_of_a_masked_model_reads_the_word_embedding(void **state) {
  (void)state;
  esp_model *model = transformer_new(config_of(masked));
  float *found = transformer_run(model, &batch);
  double *word = naive_weight(model, "bert.embeddings.", "word_embeddings.weight");
  double *bias = naive_weight(model, "cls.predictions.", "bias");
  for (int s = 0; s < SEQUENCES; s++) {
    double *r = naive_states(model, s), *x = naive_transform(model, r), logits[T * 11];
    for (int i = 0; i < T * 11; i++) {
      logits[i] = bias[i % 11];
      for (int j = 0; j < D; j++) logits[i] += x[i / 11 * D + j] * word[i % 11 * D + j];
    }
    assert_true(distance(T * 11, logits, found + s * T * 11) < 1e-5);
    esp_free(&r);
    esp_free(&x);
  }
  double *const all[] = {word, bias};
  for (unsigned i = 0; i < ESP_COUNT(all); i++) esp_release(all[i]);
  esp_free(&found);
  esp_model_free(&model);
}

static void forward_of_an_untied_masked_model_reads_its_decoder(void **state) {
  (void)state;
  json_t *config = config_of(masked);
  json_object_set_new(config, "tie_word_embeddings", json_false());
  esp_model *model = transformer_new(config);
  float *found = transformer_run(model, &batch);
  for (int s = 0; s < SEQUENCES; s++) {
    double *r = naive_states(model, s), *x = naive_transform(model, r);
    double *logits = naive_linear(model, "cls.predictions.", "decoder", true, x, T);
    assert_true(distance(T * 11, logits, found + s * T * 11) < 1e-5);
    double *const all[] = {r, x, logits};
    for (unsigned i = 0; i < ESP_COUNT(all); i++) esp_release(all[i]);
  }
  esp_free(&found);
  esp_model_free(&model);
}

static void forward_without_types_takes_the_first(void **state) {
  (void)state;
  static const int32_t zeros[SEQUENCES * T] = {0};
  esp_batch untyped = batch, first = batch;
  untyped.types = NULL;
  first.types = zeros;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  float *a = transformer_run(model, &untyped), *b = transformer_run(model, &first);
  assert_true(transformer_is_same(a, b, 0, SEQUENCES * T * D));
  esp_free(&a);
  esp_free(&b);
  esp_model_free(&model);
}

static void forward_does_not_depend_on_padding(void **state) {
  (void)state;
  int32_t other[SEQUENCES * T];
  memcpy(other, tokens, sizeof other);
  other[13] = 9; // behind the three of the last sequence
  esp_batch changed = batch;
  changed.tokens = other;
  esp_model *model = transformer_new(config_with(NULL, NULL));
  float *a = transformer_run(model, &batch), *b = transformer_run(model, &changed);
  assert_true(transformer_is_same(a, b, 0, 13 * D));
  assert_false(transformer_is_same(a, b, 13 * D, 14 * D));
  esp_free(&a);
  esp_free(&b);
  esp_model_free(&model);
}

static void a_stage_knows_all_that_makes_and_reads_a_unit(void **state) {
  (void)state;
  for (int stage = 0; stage < 4; stage++) {
    esp_model *model = transformer_new(config_of(masked));
    transformer_check_unit(model, stage, 1, &batch);
    esp_model_free(&model);
  }
}

static void esp_model_check_data_refuses_token_types_beyond_the_table(void **state) {
  (void)state;
  char path[] = "text.h5";
  esp_dataset data = {
      .kind = ESP_DATA_TOKENS, .path = path, .width = 5, .max_token = 10, .max_type = 1};
  esp_model *model = transformer_new(config_with(NULL, NULL));
  assert_int_equal(esp_model_check_data(model, &data), ESP_OK);
  data.max_type = 2;
  assert_failure(esp_model_check_data(model, &data), ESP_MISMATCH, "token types below 2, found 2");
  esp_model_free(&model);
}

static bool ignores(json_t *config, const char *tensor) {
  esp_model *model = transformer_new(config);
  const bool answer = model->family->ignores(model, tensor);
  esp_model_free(&model);
  return answer;
}

static void ignores_what_the_head_does_not_read(void **state) {
  (void)state;
  assert_true(ignores(config_of(masked), "cls.predictions.decoder.weight"));
  assert_true(ignores(config_of(masked), "cls.seq_relationship.weight"));
  assert_true(ignores(config_of(masked), "bert.pooler.dense.bias"));
  assert_true(ignores(config_with(NULL, NULL), "embeddings.position_ids"));
  assert_false(ignores(config_of(masked), "classifier.weight"));
  assert_false(ignores(config_of(classifier), "cls.seq_relationship.weight"));
  assert_false(ignores(config_with(NULL, NULL), "cls.predictions.bias"));
}

static void ignores_the_unused_bias_of_an_untied_decoder(void **state) {
  (void)state;
  json_t *config = config_of(masked);
  json_object_set_new(config, "tie_word_embeddings", json_false());
  assert_true(ignores(json_incref(config), "cls.predictions.bias"));
  assert_false(ignores(config, "cls.predictions.decoder.bias"));
}

ESP_TEST_MAIN(cmocka_unit_test(describe_gives_every_weight_its_place),
              cmocka_unit_test(describe_finds_the_task_by_the_architecture),
              cmocka_unit_test(describe_counts_classes_as_transformers_does),
              cmocka_unit_test(describe_slices_attention),
              cmocka_unit_test(describe_slices_the_feed_forward_part),
              cmocka_unit_test(describe_leaves_out_a_pooler_that_is_not_there),
              cmocka_unit_test(describe_refuses_variants_by_name),
              cmocka_unit_test(describe_refuses_heads_it_does_not_know),
              cmocka_unit_test(absent_members_have_the_defaults_of_transformers),
              cmocka_unit_test(resize_says_sizes_that_differ_by_layer),
              cmocka_unit_test(forward_of_an_encoder_matches_naive_loops),
              cmocka_unit_test(forward_of_a_classifier_pools_the_first_token),
              cmocka_unit_test(forward_of_a_masked_model_reads_the_word_embedding),
              cmocka_unit_test(forward_of_an_untied_masked_model_reads_its_decoder),
              cmocka_unit_test(forward_without_types_takes_the_first),
              cmocka_unit_test(forward_does_not_depend_on_padding),
              cmocka_unit_test(a_stage_knows_all_that_makes_and_reads_a_unit),
              cmocka_unit_test(esp_model_check_data_refuses_token_types_beyond_the_table),
              cmocka_unit_test(ignores_what_the_head_does_not_read),
              cmocka_unit_test(ignores_the_unused_bias_of_an_untied_decoder))
