/* Checkpoints that name their tensors, or leave some out, as older or plainer ones do. */
#include "mpi.h"

#include "espalier/model/family.h"

#include <string.h>

static esp_model *open_tiny(const char *name) {
  esp_model *model = NULL;
  char *path = esp_format("%s/golden/transformers/%s", ESPALIER_TESTS, name);
  ASSERT_ALL(esp_model_open(&test_comm, path, &model) == ESP_OK);
  esp_free(&path);
  return model;
}

static bool has_weight(const esp_model *model, const char *name) {
  for (int w = 0; w < model->n_weights; w++)
    if (strcmp(model->weights[w].name, name) == 0) return true;
  return false;
}

static void esp_model_open_does_without_a_prefix(void **state) {
  (void)state;
  esp_model *model = open_tiny("gpt2-hub-f16");
  ASSERT_ALL(has_weight(model, "h.1.attn.c_attn.weight") && has_weight(model, "wte.weight"));
  ASSERT_ALL(!has_weight(model, "transformer.wte.weight"));
  esp_model_free(&model);
}

static void esp_model_open_reads_norms_of_old_names_under_new_ones(void **state) {
  (void)state;
  esp_model *model = open_tiny("bert-mlm-hub-f32");
  ASSERT_ALL(has_weight(model, "bert.embeddings.LayerNorm.weight"));
  ASSERT_ALL(has_weight(model, "cls.predictions.transform.LayerNorm.bias"));
  ASSERT_ALL(!has_weight(model, "bert.embeddings.LayerNorm.gamma"));
  esp_model_free(&model);
}

static void esp_model_open_keeps_an_encoders_pooler(void **state) {
  (void)state;
  esp_model *model = open_tiny("bert-encoder-pooler-f32");
  ASSERT_ALL(has_weight(model, "pooler.dense.weight") && has_weight(model, "pooler.dense.bias"));
  ASSERT_ALL(json_object_get(model->config, "add_pooling_layer") == NULL);
  esp_model_free(&model);
}

static void esp_model_open_notes_that_an_encoder_has_no_pooler(void **state) {
  (void)state;
  esp_model *model = open_tiny("bert-encoder-bf16");
  ASSERT_ALL(!has_weight(model, "bert.pooler.dense.weight"));
  ASSERT_ALL(json_is_false(json_object_get(model->config, "add_pooling_layer")));
  esp_model_free(&model);
}

static void esp_model_open_of_other_heads_adds_nothing(void **state) {
  (void)state;
  esp_model *model = open_tiny("bert-mlm-f16");
  ASSERT_ALL(json_object_get(model->config, "add_pooling_layer") == NULL);
  esp_model_free(&model);
}

static const char *get_architecture(const esp_model *model) {
  return json_string_value(json_array_get(json_object_get(model->config, "architectures"), 0));
}

/* Checkpoints whose configuration has no architecture. */
static void esp_model_open_tells_the_head_by_its_tensors(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"gpt2-classifier-bf16", "GPT2ForSequenceClassification"},
      {"llama-answers-bf16", "LlamaForQuestionAnswering"},
      {"bert-answers-bf16", "BertForQuestionAnswering"},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    esp_model *model = open_tiny(cases[i][0]);
    assert_string_equal(get_architecture(model), cases[i][1]);
    esp_model_free(&model);
  }
}

static void esp_model_open_keeps_heads_that_it_cannot_measure(void **state) {
  (void)state;
  static const struct {
    const char *name, *head, *weight;
  } cases[] = {
      {"llama-tokens-bf16", "score", "score.bias"},
      {"llama-answers-bf16", "qa_outputs", "transformer.layers.0.self_attn.q_proj.weight"},
      {"gpt2-tokens-bf16", "classifier", "classifier.weight"},
      {"bert-tokens-bf16", "classifier", "classifier.bias"},
      {"bert-answers-bf16", "qa_outputs", "qa_outputs.weight"},
  };
  for (unsigned i = 0; i < ESP_COUNT(cases); i++) {
    esp_model *model = open_tiny(cases[i].name);
    ASSERT_ALL(model->task == ESP_TASK_EMBED && model->n_outputs == 24);
    assert_string_equal(model->unread_head, cases[i].head);
    ASSERT_ALL(has_weight(model, cases[i].weight));
    esp_model_free(&model);
  }
}

static void esp_model_open_of_a_reward_model_has_one_output(void **state) {
  (void)state;
  esp_model *model = open_tiny("llama-reward-bf16");
  ASSERT_ALL(model->task == ESP_TASK_REGRESS && model->n_outputs == 1);
  ASSERT_ALL(has_weight(model, "score.weight") && !has_weight(model, "lm_head.weight"));
  esp_model_free(&model);
}

static void esp_model_open_takes_a_missing_decoder_bias_as_0(void **state) {
  (void)state;
  esp_model *model = open_tiny("bert-mlm-unbiased-bf16");
  ASSERT_ALL(has_weight(model, "cls.predictions.decoder.weight"));
  ASSERT_ALL(!has_weight(model, "cls.predictions.decoder.bias"));
  ASSERT_ALL(json_is_false(json_object_get(model->config, "decoder_bias")));
  esp_model_free(&model);
}

/* GPT2Config's other names go, so that what is written later is not shadowed by them. */
static void esp_model_open_writes_aliases_under_one_name(void **state) {
  (void)state;
  esp_model *model = open_tiny("gpt2-aliases-bf16");
  ASSERT_ALL(json_object_get(model->config, "hidden_size") == NULL);
  ASSERT_ALL(json_integer_value(json_object_get(model->config, "n_embd")) == 24);
  ASSERT_ALL(json_integer_value(json_object_get(model->config, "n_layer")) == 2);
  esp_model_free(&model);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_model_open_does_without_a_prefix),
              cmocka_unit_test(esp_model_open_tells_the_head_by_its_tensors),
              cmocka_unit_test(esp_model_open_keeps_heads_that_it_cannot_measure),
              cmocka_unit_test(esp_model_open_of_a_reward_model_has_one_output),
              cmocka_unit_test(esp_model_open_takes_a_missing_decoder_bias_as_0),
              cmocka_unit_test(esp_model_open_writes_aliases_under_one_name),
              cmocka_unit_test(esp_model_open_reads_norms_of_old_names_under_new_ones),
              cmocka_unit_test(esp_model_open_keeps_an_encoders_pooler),
              cmocka_unit_test(esp_model_open_notes_that_an_encoder_has_no_pooler),
              cmocka_unit_test(esp_model_open_of_other_heads_adds_nothing))
