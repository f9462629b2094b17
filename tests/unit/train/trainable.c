/* Which weights train. */
#include "unit.h"

#include "trainable.h"
#include "transformer.h"

#include <fnmatch.h>

static json_t *llama_config(void) {
  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b}", "model_type", "llama",
                   "hidden_size", 8, "max_position_embeddings", 16, "num_hidden_layers", 2,
                   "num_attention_heads", 2, "intermediate_size", 6, "vocab_size", 11,
                   "attention_bias", 1, "tie_word_embeddings", 0);
}

static json_t *gpt2_config(void) {
  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "model_type", "gpt2", "n_embd", 8, "n_head", 2,
                   "n_layer", 2, "vocab_size", 11, "n_positions", 8);
}

static json_t *bert_config(const char *architecture) {
  return json_pack("{s:s, s:[s], s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "model_type", "bert",
                   "architectures", architecture, "hidden_size", 8, "num_attention_heads", 2,
                   "intermediate_size", 6, "num_hidden_layers", 2, "vocab_size", 11,
                   "max_position_embeddings", 8, "type_vocab_size", 2);
}

/* What trains are exactly the weights whose name fits one of some patterns. */
static void check(json_t *config, const char *asked, const char *const *patterns, size_t n) {
  esp_model *model = transformer_new(config);
  bool *trains = ESP_NEW(bool, model->n_weights);
  assert_int_equal(trainable_resolve(model, asked, trains), ESP_OK);
  for (int w = 0; w < model->n_weights; w++) {
    bool expected = false;
    for (size_t i = 0; i < n; i++)
      expected = expected || fnmatch(patterns[i], model->weights[w].name, 0) == 0;
    if (trains[w] != expected) fail_msg("%s: %s", asked, model->weights[w].name);
  }
  esp_free(&trains);
  esp_model_free(&model);
}
#define CHECK(config, asked, ...)                          \
  check(config, asked, (const char *const[]){__VA_ARGS__}, \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void all_is_every_weight(void **state) {
  (void)state;
  CHECK(llama_config(), "all", "*");
  CHECK(gpt2_config(), "all", "*");
  CHECK(bert_config("BertForMaskedLM"), "all", "*");
}

static void blocks_leave_embedding_and_head(void **state) {
  (void)state;
  CHECK(llama_config(), "blocks", "model.layers.*");
  CHECK(gpt2_config(), "blocks", "*h.[01].*");
  CHECK(bert_config("BertForMaskedLM"), "blocks", "bert.encoder.layer.*");
}

static void writers_end_attentions_and_feed_forward_layers(void **state) {
  (void)state;
  CHECK(llama_config(), "writers", "*.o_proj.*", "*.down_proj.*");
  CHECK(gpt2_config(), "writers", "*.attn.c_proj.*", "*.mlp.c_proj.*");
  CHECK(bert_config("BertForMaskedLM"), "writers", "*.output.dense.*");
}

static void norms_are_vectors(void **state) {
  (void)state;
  CHECK(llama_config(), "norms", "*norm.weight", "*.bias");
  CHECK(gpt2_config(), "norms", "*ln_*", "*.bias");
  CHECK(bert_config("BertForMaskedLM"), "norms", "*LayerNorm*", "*.bias");
}

static void names_may_have_wildcards_and_commas(void **state) {
  (void)state;
  CHECK(llama_config(), "model.norm.weight", "model.norm.weight");
  CHECK(llama_config(), "*.1.mlp.*", "*.1.mlp.*");
  CHECK(llama_config(), "*q_proj.weight,*[01].mlp.up_proj*, lm_head.weigh?", "*q_proj.weight",
        "*up_proj*", "lm_head.weight");
  CHECK(llama_config(), "nothing.*, model.norm.weight", "model.norm.weight");
}

/* No loss reads it. */
static void a_pooler_of_an_encoder_does_not_train(void **state) {
  (void)state;
  CHECK(bert_config("BertModel"), "all", "bert.embeddings.*", "bert.encoder.*");
  CHECK(bert_config("BertForSequenceClassification"), "all", "*");
}

static void a_weight_without_values_does_not_train(void **state) {
  (void)state;
  json_t *config = llama_config();
  json_object_set_new(config, "per_layer_config",
                      json_pack("{s:{s:i}}", "1", "intermediate_size", 0));
  esp_model *model = transformer_new(config);
  bool *trains = ESP_NEW(bool, model->n_weights);
  assert_int_equal(trainable_resolve(model, "all", trains), ESP_OK);
  for (int w = 0; w < model->n_weights; w++)
    assert_true(trains[w] == (esp_weight_count(&model->weights[w]) > 0));
  esp_free(&trains);
  esp_model_free(&model);
}

static void a_set_that_names_nothing_is_refused(void **state) {
  (void)state;
  static const char *const asked[] = {"norm", "", "*.c_proj.weight", "ALL", "all,norms"};
  esp_model *model = transformer_new(llama_config());
  bool *trains = ESP_NEW(bool, model->n_weights);
  for (size_t i = 0; i < ESP_COUNT(asked); i++)
    assert_failure(trainable_resolve(model, asked[i], trains), ESP_USAGE, "model.embed_tokens");
  esp_free(&trains);
  esp_model_free(&model);
}

static int count_masked(const esp_model *model) {
  int n = 0;
  for (int w = 0; w < model->n_weights; w++) n += trainable_is_masked(model, w);
  return n;
}

/* Seven matrices a layer, and neither embedding nor head. */
static void matrices_of_a_masked_model_are_masked(void **state) {
  (void)state;
  esp_model *model = transformer_new(llama_config());
  assert_int_equal(count_masked(model), 0);
  model->is_masked = true;
  assert_int_equal(count_masked(model), 2 * 7);
  esp_free(&model->details);
  model->details = esp_strdup("{\"structure\": \"structured\", \"masked\": true}");
  assert_int_equal(count_masked(model), 2 * 7);
  for (int w = 0; w < model->n_weights; w++)
    if (trainable_is_masked(model, w)) assert_int_equal(model->weights[w].rank, 2);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(all_is_every_weight),
              cmocka_unit_test(blocks_leave_embedding_and_head),
              cmocka_unit_test(writers_end_attentions_and_feed_forward_layers),
              cmocka_unit_test(norms_are_vectors),
              cmocka_unit_test(names_may_have_wildcards_and_commas),
              cmocka_unit_test(a_pooler_of_an_encoder_does_not_train),
              cmocka_unit_test(a_weight_without_values_does_not_train),
              cmocka_unit_test(matrices_of_a_masked_model_are_masked),
              cmocka_unit_test(a_set_that_names_nothing_is_refused))
