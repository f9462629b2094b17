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

ESP_TEST_MAIN(cmocka_unit_test(esp_model_open_does_without_a_prefix),
              cmocka_unit_test(esp_model_open_reads_norms_of_old_names_under_new_ones),
              cmocka_unit_test(esp_model_open_keeps_an_encoders_pooler),
              cmocka_unit_test(esp_model_open_notes_that_an_encoder_has_no_pooler),
              cmocka_unit_test(esp_model_open_of_other_heads_adds_nothing))
