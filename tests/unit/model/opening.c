/* What opens a model is found from its configuration. */
#include "unit.h"

#include "espalier/core/memory.h"
#include "espalier/model/opening.h"

#include <jansson.h>
#include <string.h>

static void check_opening(json_t *config, const char *with, const char *why, bool needs_heads) {
  esp_model *model = NULL;
  if (esp_model_new(config, &model) != ESP_OK) fail_msg("%s", esp_failure_text());
  json_decref(config);
  const esp_opening opening = esp_model_find_opening(model);
  assert_string_equal(opening.with, with);
  if (!strstr(opening.why, why)) fail_msg("'%s' lacks '%s'", opening.why, why);
  assert_true((*why != 0) == (*opening.why != 0));
  assert_true(esp_model_needs_all_heads(model) == needs_heads);
  esp_model_free(&model);
}

static json_t *new_llama(int heads, bool has_bias) {
  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b}", "model_type", "llama",
                   "hidden_size", 24, "vocab_size", 11, "max_position_embeddings", 16,
                   "intermediate_size", 10, "num_hidden_layers", 2, "num_attention_heads", heads,
                   "num_key_value_heads", heads, "head_dim", 6, "attention_bias", (int)has_bias);
}

static json_t *new_gpt2(int heads) {
  json_t *config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "model_type", "gpt2", "n_embd", 24,
                             "n_positions", 16, "vocab_size", 11, "n_layer", 2, "n_head", heads);
  if (heads != 4) json_object_set_new(config, "head_dim", json_integer(6));
  return config;
}

/* A number of heads that does not divide the hidden size. */
static void esp_model_find_opening_knows_llamas_rule(void **state) {
  (void)state;
  check_opening(new_llama(4, false), ESP_OPENS_IN_TRANSFORMERS, "", false);
  check_opening(new_llama(3, true), ESP_OPENS_IN_TRANSFORMERS, "", true);
  check_opening(new_llama(5, true), ESP_OPENS_BY_LOADER,
                "LlamaConfig refuses a hidden size of 24 for 5 heads", true);
}

static void esp_model_find_opening_knows_where_heads_have_no_size(void **state) {
  (void)state;
  check_opening(new_gpt2(4), ESP_OPENS_IN_TRANSFORMERS, "", true);
  check_opening(new_gpt2(3), ESP_OPENS_BY_LOADER, "3 heads x 6 is not the hidden size 24", true);
}

static void esp_model_find_opening_names_layers_of_different_sizes(void **state) {
  (void)state;
  json_t *config = new_llama(4, false);
  json_object_set_new(config, "per_layer_config",
                      json_pack("{s:{s:i}}", "1", "intermediate_size", 5));
  check_opening(config, ESP_OPENS_BY_LOADER, "layers have different sizes", false);
}

ESP_TEST_MAIN(cmocka_unit_test(esp_model_find_opening_knows_llamas_rule),
              cmocka_unit_test(esp_model_find_opening_knows_where_heads_have_no_size),
              cmocka_unit_test(esp_model_find_opening_names_layers_of_different_sizes))
